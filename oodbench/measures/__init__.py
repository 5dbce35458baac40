"""Measures of scores, and statistics of them: pure functions of arrays.

Scores are (n,) arrays of numbers, larger = more likely OOD; labels, predictions and flags are (n,)
arrays of the same images.
"""

from oodbench.measures.bootstrap import bootstrap_auroc, bootstrap_means
from oodbench.measures.conformal import conformal_p_values, conformal_threshold
from oodbench.measures.evaluation import evaluate_id, evaluate_ood, recompute
from oodbench.measures.intervals import Summary, auroc_interval, over_seeds
from oodbench.measures.metrics import (
    accepted,
    aupr_id,
    aupr_ood,
    aurc,
    auroc,
    fpr95,
    fpr95_ood,
    id_accuracy,
    oscr,
    rejected,
    threshold,
    tied_share,
)
from oodbench.measures.paired import Components, Estimate, components, delong_test
from oodbench.measures.prevalence import aupr_id_balanced, aupr_ood_balanced
from oodbench.measures.ranks import Friedman, friedman, holm
from oodbench.measures.use import Outcomes, Use, augrc, aurc_at_share, outcomes

__all__ = [
    "Components",
    "Estimate",
    "Friedman",
    "Outcomes",
    "Summary",
    "Use",
    "accepted",
    "augrc",
    "aupr_id",
    "aupr_id_balanced",
    "aupr_ood",
    "aupr_ood_balanced",
    "aurc",
    "aurc_at_share",
    "auroc",
    "auroc_interval",
    "bootstrap_auroc",
    "bootstrap_means",
    "components",
    "conformal_p_values",
    "conformal_threshold",
    "delong_test",
    "evaluate_id",
    "evaluate_ood",
    "fpr95",
    "fpr95_ood",
    "friedman",
    "holm",
    "id_accuracy",
    "oscr",
    "outcomes",
    "over_seeds",
    "recompute",
    "rejected",
    "threshold",
    "tied_share",
]
