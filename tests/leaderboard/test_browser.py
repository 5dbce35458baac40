"""The page in a browser: it sorts, filters, switches, is accessible, and asks nobody anything."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run

from oodbench.leaderboard.boards import build_boards
from oodbench.leaderboard.build import Leaderboard, read_leaderboard
from oodbench.leaderboard.finding import find_entries

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install 'oodbench[dev]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="as above")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCRIPT = "<script>alert(1)</script>"
OPENS_IN_SECONDS = 2.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that was opened, and what it did."""

    def __init__(self, browser: Any, file: Path, **settings: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(**settings)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        started = time.perf_counter()
        self.page.goto(file.as_uri())
        self.seconds = time.perf_counter() - started

    def shows(self, detectors: list[str], board: int = 1) -> None:
        """Wait until a table has these detectors from top to bottom; its script sorts later on."""
        shown = self.page.locator(f"#board-{board}-table tbody th")
        sync_api.expect(shown).to_have_text(detectors)

    def heading(self, title: str, board: int = 1) -> Any:
        return self.page.locator(f"#board-{board}-table thead th", has_text=title).first


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    groups = {"near": ["Glyphs"], "far": ["Uniform"]}
    make_run(folder / "runs" / "one", {"poor": 0.2, "good": 3.0}, request={"groups": groups})
    make_run(
        folder / "runs" / "two", {SCRIPT: 1.0}, benchmark="other", request={"selection_seed": 3}
    )
    read_leaderboard([folder / "runs"]).write(folder / "site")
    return folder / "site" / "index.html"


@pytest.fixture
def visit(browser: Any, site: Path) -> Iterator[Visit]:
    """Open the page; at the end it must have been silent, and have asked for itself alone."""
    visit = Visit(browser, site)
    yield visit
    assert visit.complaints == []
    assert visit.requests == [site.as_uri()]
    visit.page.context.close()


def test_a_click_on_a_heading_sorts(visit: Visit) -> None:
    visit.shows(["good", "poor"])
    visit.heading("AUROC").click()
    visit.shows(["poor", "good"])
    assert visit.heading("AUROC").get_attribute("aria-sort") == "ascending"


def test_the_keyboard_sorts(visit: Visit) -> None:
    visit.heading("near").get_by_role("button").focus()
    visit.page.keyboard.press("Enter")
    visit.shows(["poor", "good"])


def test_the_filter_keeps_what_matches(visit: Visit) -> None:
    visit.page.get_by_label("Filter the detectors").first.fill("goo")
    visit.shows(["good"])


def test_the_choice_shows_one_benchmark(visit: Visit) -> None:
    for kind in ("section.board", "article.board"):
        boards = visit.page.locator(kind)
        visit.page.get_by_role("combobox", name="Benchmark").select_option("")
        assert [board.is_visible() for board in boards.all()] == [True, True]
        visit.page.get_by_role("combobox", name="Benchmark").select_option("board-2")
        assert [board.is_visible() for board in boards.all()] == [False, True]


def test_share_and_cost_choose_what_detectors_cost_in_use(visit: Visit) -> None:
    cells = visit.page.locator("#board-1-table td.priced")
    first = cells.all_inner_texts()
    visit.heading("AUROC").click()
    visit.shows(["poor", "good"])
    visit.page.get_by_label("OOD inputs").select_option("50 %")
    visit.page.get_by_label("Cost of an accepted failure").select_option("1")
    visit.shows(["good", "poor"])
    chosen = cells.all_inner_texts()
    assert chosen != first
    assert [float(each) for each in chosen] == sorted(float(each) for each in chosen)
    caption = visit.page.locator("#board-1-table caption")
    sync_api.expect(caption).to_contain_text("where 50 % are OOD and an accepted failure costs 1,")
    visit.page.get_by_label("OOD inputs").select_option("10 %")
    visit.page.get_by_label("Cost of an accepted failure").select_option("10")
    assert cells.all_inner_texts() == first


def test_a_link_opens_the_entry(visit: Visit) -> None:
    entry = visit.page.locator("#board-1-entry-1")
    assert entry.get_attribute("open") is None
    visit.page.get_by_role("link", name="good").click()
    assert entry.get_attribute("open") is not None
    assert entry.get_by_role("link", name="records.csv").is_visible()


def test_a_detector_called_like_a_script_is_text(visit: Visit) -> None:
    visit.shows([SCRIPT], 2)
    visit.page.get_by_role("link", name=SCRIPT).click()
    visit.page.get_by_label("Filter the detectors").nth(1).fill(SCRIPT)
    visit.shows([SCRIPT], 2)


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, site: Path, width: int, scheme: str) -> None:
    size = {"width": width, "height": 800}
    page = Visit(browser, site, viewport=size, color_scheme=scheme).page
    for entry in page.locator("summary").all():
        entry.click()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.context.close()


def test_on_a_phone_only_the_tables_scroll_sideways(browser: Any, site: Path) -> None:
    page = Visit(browser, site, viewport={"width": 360, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    region = page.locator(".scroll").first
    assert region.evaluate("each => each.scrollWidth > each.clientWidth")
    page.context.close()


@pytest.mark.slow  # it is a matter of seconds, on a machine that does nothing else
def test_the_page_of_a_thousand_runs_opens_in_two_seconds(browser: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", {"energy": 1.0})
    ((entry,), _) = find_entries([tmp_path / "runs"])
    entries = [replace(entry, detector=f"energy-{number:04}") for number in range(1000)]
    Leaderboard(build_boards(entries), [], []).write(tmp_path / "site")
    visit = Visit(browser, tmp_path / "site" / "index.html")
    assert visit.seconds < OPENS_IN_SECONDS
    assert visit.page.locator("details").count() == 1000
    visit.page.context.close()
