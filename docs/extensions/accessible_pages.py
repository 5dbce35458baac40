"""Additions to finished pages: what keyboards and screen readers need and the theme leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

REPLACEMENTS = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="Sections">',
    "<pre>": '<pre tabindex="0">',  # wide ones scroll, as do wide tables
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
    '<div class="table-wrapper ': '<div tabindex="0" class="table-wrapper ',
}


def amend(app: Any, error: Exception | None) -> None:
    """Replace tags in all pages of a finished build."""
    if error is not None or app.builder.name != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for old, new in REPLACEMENTS.items():
            text = text.replace(old, new)
        page.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Amend the pages when a build ends."""
    app.connect("build-finished", amend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
