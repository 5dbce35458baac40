"""Deep isolation forest: isolation forests of what random networks make of the features."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_classical.adapter import RANDOM_STATE, Classical, check_count

if TYPE_CHECKING:
    import numpy as np
    from sklearn.ensemble import IsolationForest

HIDDEN = (500, 100)
"""Values in the hidden layers of a network."""

OUTPUTS = 20
"""Values that a network makes of the features."""

LARGEST = 256
"""Images that a tree is grown from, at most."""


class DeepIsolationForest(Classical):
    """Score by how few random splits set apart what random networks make of an image's features.

    Each network, two tanh layers whose weights are standard normal and stay so, gives a
    representation on which a few trees are grown. With the depth h at which a tree isolates it, the
    depth c to expect, and the mean distance g from the thresholds on its way (section 4 of the
    paper),

        s(x) = mean over networks of 2^(-mean h / c) mean g,

    means without a name being over the trees of a network.

    Args:
        networks: number of networks.
        trees: number of trees of each.
        sample: training images to draw each tree's 256 from, at most.

    Raises:
        InvalidParameter: if one of them is less than 1.
    """

    info = Info(
        name="deep-isolation-forest",
        title="Deep isolation forest",
        summary="Set apart by few random splits of what random networks make of the features",
        paper=Paper(
            title="Deep Isolation Forest for Anomaly Detection",
            authors="Xu et al.",
            venue="IEEE TKDE",
            year=2023,
            url="https://arxiv.org/abs/2206.06602",
        ),
        deviations=(
            "Features are scaled to [0, 1], and representations to mean 0 and deviation 1 before a "
            "last tanh, by those of training images; published code takes mean and deviation of "
            "the images that are scored together.",
            "Networks are of linear layers whatever the features are of.",
            "Draws the same networks and trees for every seed.",
        ),
    )
    space: ClassVar = {"networks": (20, 50, 100)}

    def __init__(self, *, networks: int = 50, trees: int = 6, sample: int = 10_000) -> None:
        check_count("networks", networks)
        check_count("trees", trees)
        check_count("sample", sample)
        self.networks = networks
        self.trees = trees
        self.sample = sample

    def estimator(self) -> Any:
        """Return a new estimator with the methods of scikit-learn's."""
        return RepresentedForests(self.networks, self.trees)


class RepresentedForests:
    """Isolation forests, each of the representations by a random network.

    Args:
        networks: number of networks.
        trees: number of trees of each.
    """

    def __init__(self, networks: int, trees: int) -> None:
        self.networks = networks
        self.trees = trees

    def fit(self, features: np.ndarray) -> RepresentedForests:
        """Draw the networks and grow the trees from features (m, d) float64."""
        import numpy as np
        from sklearn.ensemble import IsolationForest

        self.lowest = features.min(axis=0)
        extent = features.max(axis=0) - self.lowest
        self.extent = np.where(extent > 0, extent, 1.0)
        draws = np.random.default_rng(RANDOM_STATE)
        widths = (features.shape[1], *HIDDEN, OUTPUTS)
        self.members: list[tuple[list[np.ndarray], np.ndarray, np.ndarray, IsolationForest]] = []
        for number in range(self.networks):
            layers = [
                draws.standard_normal((before, after), dtype=np.float32)
                for before, after in itertools.pairwise(widths)
            ]
            outputs = self._outputs(features, layers)
            mean, deviation = outputs.mean(axis=0), outputs.std(axis=0)
            deviation = np.where(deviation > 0, deviation, 1.0)
            forest = IsolationForest(
                n_estimators=self.trees,
                max_samples=min(LARGEST, len(features)),
                random_state=RANDOM_STATE + number,
            )
            forest.fit(np.tanh((outputs - mean) / deviation))
            self.members.append((layers, mean, deviation, forest))
        return self

    def _outputs(self, features: np.ndarray, layers: list[np.ndarray]) -> np.ndarray:
        """Return what a network makes of features: (n, `OUTPUTS`) float64."""
        import numpy as np

        values = ((features - self.lowest) / self.extent).astype(np.float32)
        for layer in layers[:-1]:
            values = np.tanh(values @ layer)
        found: np.ndarray = (values @ layers[-1]).astype(np.float64)
        return found

    def score_samples(self, features: np.ndarray) -> np.ndarray:
        """Return the negative scores of features (n, d) float64, as scikit-learn does: (n,)."""
        import numpy as np

        scores = np.zeros(len(features))
        for layers, mean, deviation, forest in self.members:
            represented = np.tanh((self._outputs(features, layers) - mean) / deviation)
            scores -= _scores(forest, represented) / self.networks
        return scores


def _scores(forest: IsolationForest, values: np.ndarray) -> np.ndarray:
    """Return the scores of representations (n, r) by the trees of one network: (n,)."""
    import numpy as np

    values = values.astype(np.float32)  # trees compare in 32 bits
    depths, distances = np.zeros(len(values)), np.zeros(len(values))
    for estimator in forest.estimators_:
        tree = estimator.tree_
        inner = np.flatnonzero(tree.feature >= 0)
        way = estimator.decision_path(values)
        leaves = tree.n_node_samples[estimator.apply(values)]
        lengths = np.asarray(way.sum(axis=1)).ravel() - 1
        depths += lengths + expected_depth(leaves)
        passed = way[:, inner].toarray()
        away = np.abs(values[:, tree.feature[inner]] - tree.threshold[inner])
        distances += (away * passed).sum(axis=1) / np.maximum(lengths, 1)
    expected = expected_depth(np.array([forest.max_samples_]))
    count = len(forest.estimators_)
    found: np.ndarray = 2 ** (-depths / (count * np.maximum(expected, 1))) * distances / count
    return found


def expected_depth(images: np.ndarray) -> np.ndarray:
    """Return the depth at which random splits isolate one of n images, on average: as n."""
    import numpy as np

    several = np.maximum(images, 3)
    depth = 2 * (np.log(several - 1) + np.euler_gamma) - 2 * (several - 1) / several
    found: np.ndarray = np.where(images > 2, depth, np.where(images == 2, 1.0, 0.0))
    return found
