"""The title, direction and definition of each measure in tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.errors import UnknownName

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """A measure as a column of a table.

    Attributes:
        title: the heading.
        definition: what the heading stands for, as a footnote.
        larger_is_better: the direction in which the best value lies.
    """

    title: str
    definition: str
    larger_is_better: bool = True


_ACCURACY = (
    "Accuracy (q): share of OOD images rejected at the threshold that keeps q of the calibration "
    "images; ID accepted (q), and Accuracy (q) in the row of the ID set: share of ID test images "
    "accepted at that threshold, the target being q"
)

_AUGRC = (
    "AUGRC (q): area under the generalised risk-coverage curve where q of the inputs is OOD, "
    "accepted OOD images and accepted errors counted as failures (Traub et al., NeurIPS 2024); "
    "smaller is better"
)
_AURC = "AURC (q): AURC where q of the inputs is OOD; smaller is better"

SHARES = (1, 10, 50)
"""Shares of OOD inputs, in %, at which areas under risk-coverage curves can be shown."""

COLUMNS = {
    "auroc": Column(
        "AUROC", "AUROC: chance that an OOD image scores above an ID image, a tie counted half"
    ),
    "aupr_id": Column("AUPR-ID", "AUPR-ID: average precision, ID positive"),
    "aupr_ood": Column("AUPR-OOD", "AUPR-OOD: average precision, OOD positive"),
    "aupr_id_balanced": Column(
        "AUPR-ID (1:1)", "AUPR-ID (1:1): AUPR-ID as if there were as many OOD as ID images"
    ),
    "aupr_ood_balanced": Column(
        "AUPR-OOD (1:1)", "AUPR-OOD (1:1): AUPR-OOD as if there were as many OOD as ID images"
    ),
    "fpr95": Column(
        "FPR95",
        "FPR95: share of OOD images accepted where 95 % of the ID images are",
        larger_is_better=False,
    ),
    "fpr95_ood": Column(
        "FPR95-OOD",
        "FPR95-OOD: share of ID images rejected where 95 % of the OOD images are",
        larger_is_better=False,
    ),
    "acc95": Column("Accuracy (0.95)", _ACCURACY),
    "acc99": Column("Accuracy (0.99)", _ACCURACY),
    "id_accuracy": Column(
        "Classifier", "Classifier: its accuracy on the ID test images, with nothing rejected"
    ),
    "oscr": Column("OSCR", "OSCR: area under the open-set classification rate curve"),
    "aurc": Column(
        "AURC",
        "AURC: area under the risk-coverage curve, accepted OOD images counted as failures",
        larger_is_better=False,
    ),
    **{f"augrc{share}": Column(f"AUGRC ({share} %)", _AUGRC, False) for share in SHARES},
    **{f"aurc{share}": Column(f"AURC ({share} %)", _AURC, False) for share in SHARES},
}
"""The measures that a table can show, by their column name in the records. Those that records do
not hold (`oodbench.report.derived`) are computed from the scores."""

DEFAULT = ("auroc", "fpr95", "acc95", "acc99")
"""What a detailed table shows unless asked otherwise: the columns of the GANAD paper's tables."""


def shown_by_default(records: pd.DataFrame) -> tuple[str, ...]:
    """Return those of `DEFAULT` that records have, or all if no detector scored an OOD set."""
    scored = records[(records["status"] == "ok") & (records["ood_dataset"] != "")]
    return tuple(name for name in DEFAULT if scored.empty or scored[name].notna().any())


def checked(metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the names of measures.

    Raises:
        UnknownName: if one is not in `COLUMNS`.
    """
    for name in metrics:
        if name not in COLUMNS:
            raise UnknownName("measure", name, COLUMNS)
    return tuple(dict.fromkeys(metrics))
