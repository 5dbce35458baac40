"""The map of a run: which detector costs least, over the share of OOD inputs and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oodbench.contracts import plain_label
from oodbench.errors import FigureUnavailable
from oodbench.measures.paired import Floats, two_sided_p
from oodbench.measures.ranks import LEVEL, holm
from oodbench.measures.use import Outcomes, Use, outcomes, risk_differences
from oodbench.report.layout import percent
from oodbench.report.pictures import Plot, finish, new_figure
from oodbench.report.samples import Shown
from oodbench.report.use import EVERYTHING, NOTHING, without_detector

SHARES = np.geomspace(0.001, 0.5, 20)
"""Shares of OOD inputs."""

COSTS = np.geomspace(0.1, 100, 20)
"""Costs of an accepted OOD input and of an accepted error, in rejected good inputs."""

COLOURED = 7
"""Detectors with a colour of their own: as many as can be told apart, the next one being grey."""

PALE = 0.4
"""Strength of a colour where the lead is within chance."""

GREYS = {NOTHING: "0.75", EVERYTHING: "0.35", "other detectors": "0.9"}


@dataclass(frozen=True)
class UseMap:
    """The cheapest choice at each cost and share.

    Attributes:
        names: of the choices: detectors, and those that need none.
        best: (costs, shares) int64, positions in ``names``.
        supported: (costs, shares) bool, whether all other detectors cost more, beyond chance.
    """

    names: Sequence[str]
    best: npt.NDArray[np.int64]
    supported: npt.NDArray[np.bool_]

    def areas(self) -> dict[str, float]:
        """Return the share of the map where each choice is best, the largest first."""
        counts = np.bincount(self.best.ravel(), minlength=len(self.names)) / self.best.size
        order = np.argsort(-counts, kind="stable")
        return {self.names[number]: float(counts[number]) for number in order if counts[number]}


def make_map(shown: Shown) -> UseMap:
    """Compare detectors at every share and cost, each at its best threshold there.

    Detectors that lack a set are left out. A difference is supported where its p-value, by the
    variance over images and with Holm's correction for the number of detectors, is below 5 %.

    Raises:
        FigureUnavailable: if there are no two detectors, or the classes of ID images are not known.
    """
    titles = (shown.id_dataset, *shown.sets)
    names = [
        name for name in shown.detectors if all((name, title) in shown.judged for title in titles)
    ]
    if len(names) < 2 or not shown.sets:
        raise FigureUnavailable("A map of costs in use needs two detectors that scored all sets.")
    known = shown.judged[names[0], shown.id_dataset]
    if (known.labels < 0).any() or (known.predictions < 0).any():
        raise FigureUnavailable(
            "A map of costs in use needs the class and the prediction of each ID image."
        )
    correct = known.labels == known.predictions
    groups = []
    for name in names:
        own, *sets = (shown.judged[name, title].scores for title in titles)
        groups.append([own[~correct], own[correct], *sets])
    found = [
        outcomes(np.concatenate(parts[:2]), parts[2:], np.sort(correct)).useful()
        for parts in groups
    ]
    scores = np.stack([np.concatenate(parts) for parts in groups])
    return _compare(names, found, scores, [len(part) for part in groups[0]], float(correct.mean()))


def _compare(
    names: Sequence[str],
    found: Sequence[Outcomes],
    scores: Floats,
    sizes: Sequence[int],
    accuracy: float,
) -> UseMap:
    """Compare detectors, given their scores (d, n) of groups of images of some sizes."""
    uses = [Use(float(share), float(cost), float(cost)) for cost in COSTS for share in SHARES]
    weights = np.stack([use.weights for use in uses], axis=1)
    choices = [(own.shares @ weights).argmin(axis=0) for own in found]
    limits = np.stack([own.limits[chosen] for own, chosen in zip(found, choices, strict=True)])
    risks = np.stack(
        [
            *(
                (own.shares[chosen] * weights.T).sum(axis=1)
                for own, chosen in zip(found, choices, strict=True)
            ),
            *(shares @ weights for shares in without_detector(accuracy).values()),
        ]
    )
    best = risks.argmin(axis=0)
    # Where doing without a detector costs as little, no detector is worth anything.
    without = risks[len(names) :].argmin(axis=0) + len(names)
    alike = np.isclose(risks.min(axis=0), np.take_along_axis(risks, without[None], 0)[0], rtol=1e-9)
    best = np.where(alike, without, best)
    supported = [
        number < len(names)
        and _is_supported(scores, limits[:, cell], sizes, uses[cell], risks[:, cell], number)
        for cell, number in enumerate(best)
    ]
    shape = (len(COSTS), len(SHARES))
    every = (*names, *without_detector(accuracy))
    return UseMap(every, best.reshape(shape), np.reshape(supported, shape))


def _is_supported(
    scores: Floats, limits: Floats, sizes: Sequence[int], use: Use, risks: Floats, best: int
) -> bool:
    """Return whether all other detectors cost more than the best, beyond chance."""
    order = np.argsort(risks[: len(scores)], kind="stable")
    nearest = [best, next(number for number in order if number != best)]
    for rivals in (nearest, [best, *(number for number in order if number != best)]):
        accepted = scores[rivals] <= limits[rivals, None]
        p_values = two_sided_p(*risk_differences(accepted, sizes, use, 0))[1:]
        if not (holm(p_values) < LEVEL).all():
            return False  # already by the nearest rival, in most places
    return True


def draw_use_map(shown: Shown) -> Plot:
    """Draw the map.

    Raises:
        FigureUnavailable: as `make_map`.
    """
    from matplotlib.colors import to_rgb

    found = make_map(shown)
    areas = found.areas()
    coloured = [name for name in areas if name not in GREYS][:COLOURED]
    colours = {name: f"C{number}" for number, name in enumerate(coloured)} | GREYS
    shades = {name: colours.get(name, GREYS["other detectors"]) for name in areas}
    image = np.ones((*found.best.shape, 3))
    for place, number in np.ndenumerate(found.best):
        name = found.names[int(number)]
        strength = 1.0 if found.supported[place] or name in GREYS else PALE
        image[place] = [1 - strength * (1 - part) for part in to_rgb(shades[name])]
    figure, (axes,) = new_figure(1, 1, 7.5, 4.5)
    axes.pcolormesh(_edges(100 * SHARES), _edges(COSTS), image, edgecolors="face", linewidth=0.3)
    axes.set(xscale="log", yscale="log", xlabel="OOD inputs (%)")
    axes.set_ylabel("cost of an accepted failure, in rejected good inputs")
    axes.set_xticks([0.1, 1, 10, 50], ["0.1", "1", "10", "50"])
    axes.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    axes.minorticks_off()
    legend: dict[str, float] = {}
    for name, area in areas.items():
        label = name if name in colours else "other detectors"
        legend[label] = legend.get(label, 0.0) + area
    for name, area in legend.items():
        label = f"{plain_label(name)} ({100 * area:.0f} %)"
        axes.fill_between([], [], color=colours[name], label=label)
    title = "share of the map\npale: lead within chance"
    figure.legend(loc="outside right upper", frameon=False, title=title, alignment="left")
    listed = ", ".join(f"{name} {percent(area)} %" for name, area in areas.items())
    unsupported = percent(1 - float(found.supported.mean()))
    return finish(
        figure,
        "Which detector costs least in use",
        "At each share of OOD inputs, and cost of an accepted OOD input or error in rejected good "
        "inputs, the choice with the smallest risk, each detector at its best threshold. Pale: its "
        f"lead is within chance ({unsupported} % of the map).",
        f"Shares of the map: {listed}.",
    )


def _edges(centres: Floats) -> Floats:
    """Return the edges of cells that are evenly spaced on a logarithmic axis."""
    step = np.sqrt(centres[1] / centres[0])
    edges: Floats = np.append(centres / step, centres[-1] * step)
    return edges
