"""The outputs of a run with folds: those of each fold, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from oodbench.contracts import Benchmark
from oodbench.identity.keys import digest
from oodbench.results.columns import PREDICTION, RECORD, SCORE, with_fold
from oodbench.results.parts import Parts
from oodbench.results.run import FOLD_REQUEST
from oodbench.runs.collector import Collector
from oodbench.runs.costs import Costs, largest

_JOINED = ("classes", "papers", "shipped", "failures", "plugins", "jobs")
"""The mappings of ``run.json`` in which the folds stand side by side."""

_SAID = ("missing", "broken", "unsuited", "notes")
"""The mappings of ``run.json`` to texts that may differ from fold to fold."""

_SUMMED = (
    "jobs_run",
    "jobs_reused",
    "distinct_images",
    "images_forwarded",
    "images_forwarded_by_detectors",
    "images_forwarded_by_probes",
)
"""The counts of ``run.json`` that are those of all folds together."""


class Folds:
    """Read the artifacts of a run with folds; methods are those of `Collector`.

    Args:
        benchmark: the definition, with its folds.
        collectors: of each fold, by its name.
    """

    def __init__(self, benchmark: Benchmark, collectors: Mapping[str, Collector]) -> None:
        self._benchmark = benchmark
        self._collectors = collectors

    def records(self) -> pd.DataFrame:
        """Return the records of all folds, with that of each in the first column."""
        return self._parts(lambda collector: [collector.records()], RECORD).frame()

    def scores(self) -> Parts:
        """Return the score of every image, with the fold in the first column."""
        return self._parts(Collector.scores, SCORE)

    def predictions(self) -> Parts:
        """Return label and predicted class of every image, with the fold in the first column."""
        return self._parts(Collector.predictions, PREDICTION)

    def _parts(
        self, read: Callable[[Collector], Iterable[pd.DataFrame]], columns: Mapping[str, str]
    ) -> Parts:
        columns = with_fold(columns, has_folds=True)

        def make() -> Iterator[pd.DataFrame]:
            for name, collector in self._collectors.items():
                for part in read(collector):
                    yield part.assign(fold=name)[list(columns)]

        return Parts(columns, make)

    def texts(self) -> dict[str, Any]:
        """Return notes, deviations, groups and folds, as tables show them."""
        texts = {name: each.texts() for name, each in self._collectors.items()}
        titles = [title for each in texts.values() for title in each["groups"]]
        return {
            "notes": texts_by_name({name: each["notes"] for name, each in texts.items()}),
            "deviations": _together(each["deviations"] for each in texts.values()),
            "groups": {},
            "folds": dict.fromkeys(titles, self._benchmark.name),
        }

    def info(self) -> dict[str, Any]:
        """Return the entries of ``run.json``: of all folds together, and what differs in each."""
        infos = {name: each.info() for name, each in self._collectors.items()}
        found = list(infos.values())
        folds = {
            name: {key: each["request"][key] for key in FOLD_REQUEST}
            | {"artifacts": each["artifacts"]}
            for name, each in infos.items()
        }
        prints = [each["fingerprints"] for each in folds.values()]
        request = {
            "id": self._benchmark.id,
            "ood": list(self._benchmark.ood),
            "groups": {},
            "datasets": _union(each["request"]["datasets"] for each in found),
            "fingerprints": {
                **{part: digest([each[part] for each in prints]) for part in ("train", "test")},
                "ood": _union(each["ood"] for each in prints),
            },
        }
        return {
            **{key: value for key, value in found[0].items() if key != "artifacts"},
            **{key: _union(each[key] for each in found) for key in _JOINED},
            **{key: sum(each[key] for each in found) for key in _SUMMED},
            **{
                key: texts_by_name({name: each[key] for name, each in infos.items()})
                for key in _SAID
            },
            "deviations": _together(each["deviations"] for each in found),
            "costs": _largest_costs([each["costs"] for each in found]),
            "request": found[0]["request"] | request,
            "folds": folds,
        }


def _union(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for mapping in mappings for key, value in mapping.items()}


def texts_by_name(mappings: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the text about each name; where those of folds differ, each with its folds."""
    found: dict[str, dict[str, list[str]]] = {}
    for fold, mapping in mappings.items():
        for name, text in mapping.items():
            found.setdefault(name, {}).setdefault(text, []).append(fold)
    return {
        name: "; ".join(
            text if len(texts) == 1 else f"fold{'s' * (len(folds) > 1)} {', '.join(folds)}: {text}"
            for text, folds in texts.items()
        )
        for name, texts in found.items()
    }


def _together(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the different texts about each name, one after the other."""
    found: dict[str, dict[str, None]] = {}
    for mapping in mappings:
        for name, text in mapping.items():
            found.setdefault(name, {})[text] = None
    return {name: " ".join(texts) for name, texts in found.items()}


def _largest_costs(folds: list[Mapping[str, Costs]]) -> dict[str, Costs]:
    """Return the largest costs over the folds of each detector that scored in all of them."""
    names = [name for name in folds[0] if all(name in costs for costs in folds)]
    return {
        name: {cost: largest([costs[name][cost] for costs in folds]) for cost in folds[0][name]}
        for name in names
    }
