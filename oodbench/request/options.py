"""The options of a run: their defaults and meanings, for Python and the command line."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from oodbench.errors import suggest

if TYPE_CHECKING:
    from oodbench.contracts import Benchmark, Detector

ALL = "all"
"""Names every registered detector."""

ENGINES = ("auto", "inline", "ray")

Given = ParamSpec("Given")
Taken = TypeVar("Taken")
Result = TypeVar("Result")


_COMMA = re.compile(r",(?![^\[\]]*\])")
"""A comma that is not within brackets."""


def split_names(text: str) -> list[str]:
    """Read ``a,b[0,3-5]`` as two names."""
    return [name for part in _COMMA.split(text) if (name := part.strip())]


def option(
    default: Any, text: str, metavar: str | None = None, choices: Sequence[str] | None = None
) -> Any:
    """Return a field with its meaning, and the form of its values on the command line."""
    about = {"text": text, "metavar": metavar, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Options:
    """What to compare, and how; the metadata of each field hold its meaning."""

    id: str | Path | None = option(None, "benchmark, ID data set, or path to images", "NAME")
    detectors: Sequence[str | Detector] = option(
        (ALL,),
        "detectors, compositions such as react+knn, or families such as all-posthoc (default: "
        "all); in Python also objects",
        "A,B",
    )
    _: KW_ONLY
    benchmark: str | Path | Benchmark | None = option(
        None, "benchmark, or path to the TOML file of one; in Python also an object", "NAME"
    )
    arrays: str | Path | Mapping[str, Mapping[str, Any]] | None = option(
        None,
        "folder of features and logits that were computed elsewhere, in place of images; in "
        "Python also a mapping of such arrays",
        "DIR",
    )
    ood: Sequence[str | Path] | None = option(
        None, "data sets, or paths to images, in place of the benchmark's OOD sets", "A,B"
    )
    classifier: str | Path | None = option(
        None, "classifier, or path to a file of weights (default: the benchmark's)", "NAME"
    )
    arch: str | None = option(None, "classifier whose network the weights are for", "NAME")
    images: int | None = option(
        None, "largest number of images per test set (default: the benchmark's, usually 10000)", "N"
    )
    validation_images: int | None = option(
        None, "ID training images to hold out (default: the benchmark's, usually 1000)", "N"
    )
    seeds: int | Sequence[int] = option(
        1, "number of detector seeds, or a list such as 0,3 (default: 1)", "N|A,B"
    )
    classifier_seeds: int | Sequence[int] = option(
        1, "number of classifier seeds, or a list (default: 1)", "N|A,B"
    )
    parameters: Mapping[str, Mapping[str, Any]] | None = option(
        {},
        "a plugin's parameter, such as ganad.recipe=paper (repeatable); in Python a mapping: "
        '{"ganad": {"recipe": "paper"}}',
        "PLUGIN.NAME=VALUE",
    )
    data: str | Path | None = option(
        None, "folder of images (default: $OODBENCH_DATA, else a cache folder)", "DIR"
    )
    device: str = option(
        "auto",
        "where networks run; auto: on GPUs if there are any",
        choices=("auto", "cpu", "cuda"),
    )
    precision: str = option(
        "auto",
        "precision of networks; auto: bfloat16 where the hardware supports it",
        choices=("auto", "bfloat16", "float32"),
    )
    batch_size: int | None = option(
        None, "images per forward pass (default: 100 on a CPU, 500 on a GPU)", "N"
    )
    download: bool = option(True, "fetch missing images; else leave out such sets")
    retrain: bool = option(False, "retrain even where pretrained weights are available")

    def __post_init__(self) -> None:
        """Read ``"a,b"``, as on the command line, as a list of names."""
        for name in ("detectors", "ood"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, split_names(value))


def describe(options: type[Options]) -> dict[str, str]:
    """Return the meaning of each option, by name."""
    return {each.name: each.metadata["text"] for each in fields(options)}


def taking(
    options: Callable[Given, Taken],
) -> Callable[[Callable[[Taken], Result]], Callable[Given, Result]]:
    """Return a decorator that lets a function of options take them as documented arguments."""

    def decorate(function: Callable[[Taken], Result]) -> Callable[Given, Result]:
        signature, meanings = inspect.signature(options), describe(options)  # type: ignore[arg-type]

        @functools.wraps(function)
        def taken(*args: Given.args, **named: Given.kwargs) -> Result:
            for name in named:
                if name not in meanings:
                    advice = suggest(name, meanings)
                    raise TypeError(f"{function.__name__}() has no argument '{name}'; {advice}")
            try:
                signature.bind(*args, **named)
            except TypeError as error:
                raise TypeError(f"{function.__name__}(): {error}") from None
            return function(options(*args, **named))

        returned = inspect.signature(function).return_annotation
        taken.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
        listed = "\n".join(f"{name}: {text}." for name, text in meanings.items())
        first, rest = inspect.getdoc(function).split("\n\n", 1)  # type: ignore[union-attr]
        taken.__doc__ = f"{first}\n\nArgs:\n{textwrap.indent(listed, '    ')}\n\n{rest}"
        return taken

    return decorate
