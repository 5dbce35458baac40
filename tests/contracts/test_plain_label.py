"""Names in pictures are short, and never formulas."""

from __future__ import annotations

from oodbench.contracts import plain_label
from oodbench.contracts.figure import LONGEST_LABEL


def test_a_short_name_is_shown_as_it_is() -> None:
    assert plain_label("PhotoPatches-bw") == "PhotoPatches-bw"


def test_a_long_name_keeps_its_ends() -> None:
    shown = plain_label("a-folder-with-a-long-name/set-a-of-two")
    assert shown == "a-folder-wi…set-a-of-two"
    assert len(shown) == LONGEST_LABEL


def test_dollars_are_no_formula() -> None:
    assert plain_label("a$x_{\n$") == r"a\$x_{ \$"
