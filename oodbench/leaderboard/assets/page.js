"use strict";

const PAGE_LENGTH = 100;

/* Without script the page is complete; this adds sorting, filtering and the choice of benchmark. */
for (const table of document.querySelectorAll("table.standings")) {
  const region = table.parentElement;
  const rows = table.tBodies[0].rows.length;
  new DataTable(table, {
    paging: rows > PAGE_LENGTH,
    pageLength: PAGE_LENGTH,
    lengthChange: false,
    info: false,
    order: [],
    autoWidth: false,
    language: { search: "Filter the detectors" },
  });
  /* The filter stays in view while the table is scrolled sideways. */
  const filter = region.querySelector(".dt-search");
  if (filter) region.before(filter);
}

const choice = document.getElementById("board-choice");
choice.parentElement.hidden = false;
choice.addEventListener("change", () => {
  for (const board of document.querySelectorAll(".board")) {
    board.hidden = choice.value !== "" && board.dataset.board !== choice.value;
  }
});

/* A link to an entry opens it. */
const open = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const board = target.closest(".board");
  if (board) board.hidden = false;
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", open);
open();
