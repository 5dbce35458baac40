"""Follow a guide of the documentation as a reader would: write its files, type its commands."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs"

BLOCK = re.compile(
    r"^```(?:\{code-block\} )?(?P<language>\w+)\n"
    r"(?::caption: (?P<file>\S+)\n\n)?(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
PROGRAMS = {"oodbench": "oodbench.cli", "pip": "pip._internal.cli.main", "pytest": "pytest"}
TIME_LIMIT_SECONDS = 600


@dataclass(frozen=True)
class Block:
    """A block of code in a page; one with a caption is a file of that name."""

    language: str
    file: str | None
    text: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, such as ``plugins/detector.md``, in order."""
    text = (SITE / page).read_text(encoding="utf-8")
    return [Block(**found.groupdict()) for found in BLOCK.finditer(text)]


def script(page: str) -> str:
    """Return a guide as one shell script: files are written and commands are run in its order."""
    lines = ["set -e"]
    for block in blocks(page):
        if block.file:
            folder = shlex.quote(str(Path(block.file).parent))
            lines += [f"mkdir -p {folder}", f"cat > {shlex.quote(block.file)} <<'END OF FILE'"]
            lines += [block.text + "END OF FILE"]
        elif block.language == "bash":
            lines.append(block.text)
    return "\n".join(lines)


def make_environment(folder: Path, cache: Path) -> dict[str, str]:
    """Make a virtual environment in which oodbench is installed, as it is in the running one.

    Args:
        folder: where to make it.
        cache: the cache folder, which several environments may share.

    Returns:
        The environment variables with which it is active.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    paths = [path for path in sys.path if Path(path).is_dir()]
    (packages / "installed.pth").write_text("\n".join(paths), encoding="utf-8")
    for program, module in PROGRAMS.items():
        path = folder / "bin" / program
        run = 'if __name__ == "__main__": raise SystemExit(main())'  # not when it is spawned
        path.write_text(f"#!{folder}/bin/python\nfrom {module} import main\n{run}\n", "utf-8")
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"XDG_CACHE_HOME": str(cache), "MPLCONFIGDIR": matplotlib_folder()}
    environment |= {"PIP_NO_DEPS": "1", "PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if all(map(importlib.util.find_spec, ("hatchling", "editables"))):
        environment["PIP_NO_BUILD_ISOLATION"] = "0"  # pip reads this as yes: no package registry
    return environment


def matplotlib_folder() -> str:
    """Return where the list of fonts is kept, which takes seconds to make."""
    import matplotlib

    return matplotlib.get_cachedir()


def follow(page: str, folder: Path, environment: dict[str, str]) -> str:
    """Follow a guide in a folder and return what its commands print.

    Raises:
        AssertionError: if one of them fails.
    """
    done = subprocess.run(
        ["bash", "-c", script(page)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
