"""A new plugin package, written from the template."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec
from pathlib import Path

from oodbench.errors import UserError
from oodbench.store.paths import PACKAGE

FILES = (
    "README.md",
    "pyproject.toml",
    "oodbench_template.py",
    "tests/test_contract.py",
)
"""The files of the template."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def template() -> Path:
    """Return the folder of the template: in the package in a wheel, in ``plugins/`` in a checkout.

    Raises:
        UserError: if it is in neither, which a broken installation explains.
    """
    for folder in (PACKAGE / "template", PACKAGE.parent / "plugins" / "template"):
        if (folder / "pyproject.toml").exists():
            return folder
    raise UserError("the template of a plugin is missing; install oodbench again")


def write_plugin(name: str, parent: Path, taken: frozenset[str] = frozenset()) -> Path:
    """Write a package with a complete detector, and return its folder.

    Args:
        name: of the detector, the distribution and the folder, such as ``"my-detector"``; the
            module is ``my_detector`` and the class ``MyDetector``.
        parent: the folder to write it to.
        taken: names that are registered already.

    Raises:
        UserError: if the name cannot be used, or the folder is there or cannot be written.
    """
    _refuse(name, taken)
    folder = parent / name
    module = name.replace("-", "_")
    source = template()
    try:
        folder.mkdir(parents=True)
        for file in FILES:
            path = folder / file.replace("oodbench_template", module)
            path.parent.mkdir(exist_ok=True)
            path.write_text(_renamed((source / file).read_text("utf-8"), name), encoding="utf-8")
    except FileExistsError as error:
        raise UserError(f"{folder} is there already; name another, or remove it") from error
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from error
    return folder


def _refuse(name: str, taken: frozenset[str]) -> None:
    """Refuse names that would not work, before anything is written."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(
            f"'{name}' is not a valid plugin name; use lower case, digits and hyphens: my-detector"
        )
    if name in taken:
        raise UserError(f"there is a detector called '{name}' already; name another")
    if find_spec(name.replace("-", "_")) is not None:
        raise UserError(
            f"there is a Python package called '{name.replace('-', '_')}' already; name another"
        )


def _renamed(text: str, name: str) -> str:
    """Return a text of the template for a detector of another name."""
    words = name.split("-")
    for old, new in (
        ('template = "oodbench_template"', f'{name} = "{name.replace("-", "_")}"'),
        ("oodbench_template", name.replace("-", "_")),
        ("oodbench-template", name),
        ("[oodbench](../../README.md)", "oodbench"),
        ("NearestMean", "".join(word.capitalize() for word in words)),
        ("nearest-mean", name),
        ('"Nearest mean"', f'"{" ".join(words).capitalize()}"'),
    ):
        text = text.replace(old, new)
    return text
