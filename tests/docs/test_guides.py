"""Every guide for a kind of plugin, followed literally, ends with something that works."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from following import SITE, blocks, follow, make_environment

from oodbench.cli import main
from oodbench.registry.scaffold import write_plugin

GUIDES = sorted(path.stem for path in (SITE / "plugins").glob("*.md") if path.stem != "index")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that the guides share, so that what they share is computed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow  # half a minute each: every command of a guide is a process of its own
@pytest.mark.parametrize("guide", GUIDES)
def test_following_a_guide_ends_with_something_that_works(
    guide: str, tmp_path: Path, cache: Path
) -> None:
    environment = make_environment(tmp_path / "environment", cache)
    folder = tmp_path / "work"
    folder.mkdir()
    printed = follow(f"plugins/{guide}.md", folder, environment)
    assert "failed:" not in printed.lower()


@pytest.mark.parametrize("guide", ["classifier", "data-set", "layers-and-gradients"])
def test_the_plugins_of_a_guide_pass_its_checks(guide: str, install: Callable[..., Path]) -> None:
    found = blocks(f"plugins/{guide}.md")
    (module,) = [block for block in found if block.file and block.language == "python"]
    install(Path(module.file).stem, module.text)
    lines = [line for block in found if block.language == "bash" for line in block.text.split("\n")]
    checks = [shlex.split(line)[1:] for line in lines if line.startswith("oodbench check ")]
    assert checks
    assert [main(check) for check in checks] == [0] * len(checks)


def test_the_guide_to_a_detector_quotes_the_package_that_it_starts_from(tmp_path: Path) -> None:
    folder = write_plugin("my-detector", tmp_path)
    files = [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
    quotes = [block for block in blocks("plugins/detector.md") if block.language != "bash"]
    assert len(quotes) == 8
    for quote in quotes:
        assert any(quote.text in file for file in files), quote.text
