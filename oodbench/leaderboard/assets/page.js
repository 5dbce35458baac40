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
for (const each of document.querySelectorAll(".scripted")) each.hidden = false;
choice.addEventListener("change", () => {
  for (const board of document.querySelectorAll(".board")) {
    board.hidden = choice.value !== "" && board.dataset.board !== choice.value;
  }
});

/* What 100 inputs cost, for another share of OOD inputs or another cost of failures. */
const share = document.getElementById("use-share");
const cost = document.getElementById("use-cost");
const price = () => {
  const place = cost.selectedIndex * share.options.length + share.selectedIndex;
  const show = (element) => {
    element.textContent = element.dataset.prices.split(" ")[place];
    if (element.dataset.order) element.dataset.order = element.textContent;
  };
  for (const table of document.querySelectorAll("table.standings")) {
    const heading = table.querySelector("th.in-use");
    if (!heading) continue;
    const standings = new DataTable.Api(table);
    const column = standings.column(heading);
    column.nodes().toArray().filter((cell) => cell.dataset.prices).forEach(show);
    standings.rows().invalidate("dom").order([column.index(), "asc"]).draw();
  }
  document.querySelectorAll("caption .priced").forEach(show);
  for (const chosen of [share, cost]) {
    for (const text of document.querySelectorAll(`caption .${chosen.id}`)) text.textContent = chosen.value;
  }
};
share.addEventListener("change", price);
cost.addEventListener("change", price);

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
