"""The critical-difference diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import COLUMN_WIDTH, Figure, Info, RunView

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture


LONGEST = 16
"""Letters of a name that leave room for the diagram between names in one column."""


class RankDiagram(Figure):
    """The detectors' mean ranks over the OOD sets; a bar joins those that do not differ.

    Ranks are by AUROC, tests Friedman's and Nemenyi's (Demsar, "Statistical Comparisons of
    Classifiers over Multiple Data Sets", JMLR 2006).
    """

    info = Info(
        name="ranks",
        title="Critical-difference diagram",
        summary="Mean ranks of the detectors over the OOD sets, and which of them differ.",
    )
    needs = "three detectors on two OOD sets, and scikit-posthocs (extra 'plots')"

    def draw(self, run: RunView) -> dict[str, Picture]:
        """Return one picture, two columns wide where names are long."""
        from matplotlib.figure import Figure as Picture

        ranks = run.mean_ranks()
        height = 0.7 + 0.11 * len(ranks.names)
        columns = 1 if max(map(len, ranks.names)) <= LONGEST else 2
        picture = Picture(figsize=(columns * COLUMN_WIDTH, height), layout="constrained")
        ranks.draw_on(picture.subplots())
        return {"": picture}
