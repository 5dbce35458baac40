"""Check AUGRC, AURC and costed risks against brute force, a published identity and simulation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, norm

from oodbench.measures import augrc, aurc, aurc_at_share, auroc, bootstrap_means, outcomes
from oodbench.measures.bootstrap import percentile_interval
from oodbench.measures.use import Use, image_costs, risk_differences
from oodbench.report.derived import scored_runs
from oodbench.results.run import read_run

KEPT = Path(__file__).parents[2] / "results" / "cifar10"


def draw(seed: int, n: int = 40, m: int = 30, decimals: int = 1):
    """Return ID scores, OOD scores and correctness, with ties."""
    random = np.random.default_rng(seed)
    return (
        random.normal(0, 1, n).round(decimals),
        random.normal(1, 1, m).round(decimals),
        random.random(n) < 0.8,
    )


def weighted(known, unknown, correct, share: float):
    """Return scores, failures and weights of all images."""
    fails = np.concatenate([~correct, np.ones(len(unknown), bool)])
    weights = np.concatenate(
        [
            np.full(len(known), (1 - share) / len(known)),
            np.full(len(unknown), share / len(unknown)),
        ]
    )
    return np.concatenate([known, unknown]), fails, weights


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_augrc_is_the_chance_that_a_failing_image_scores_below_another(
    share: float, decimals: int
) -> None:
    known, unknown, correct = draw(0, decimals=decimals)
    scores, fails, weights = weighted(known, unknown, correct, share)
    area = sum(
        weights[i] * weights[j] * (1.0 if scores[j] < scores[i] else 0.5)
        for i in range(len(scores))
        for j in np.flatnonzero(fails)
        if scores[j] <= scores[i]
    )
    assert augrc(known, unknown, correct, share=share) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_augrc_follows_from_accuracy_and_the_auroc_of_failures(seed: int) -> None:
    # Traub et al., NeurIPS 2024, equation 7, where as many images are OOD as the share says.
    known, unknown, correct = draw(seed)
    fails = np.concatenate([~correct, np.ones(30, bool)])
    scores = np.concatenate([known, unknown])
    right = 1 - fails.mean()
    area = auroc(scores[~fails], scores[fails])
    expected = (1 - area) * right * (1 - right) + (1 - right) ** 2 / 2
    assert augrc(known, unknown, correct, share=30 / 70) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("decimals", [0, 8])
def test_aurc_at_the_share_of_the_images_is_that_of_the_images(decimals: int) -> None:
    known, unknown, correct = draw(4, decimals=decimals)
    found = aurc_at_share(known, unknown, correct, share=30 / 70)
    assert found == pytest.approx(aurc(known, unknown, correct), abs=1e-12)


@pytest.mark.parametrize("measure", [augrc, aurc_at_share])
def test_repeating_the_rarer_images_changes_nothing_at_a_stated_share(measure) -> None:
    known, unknown, correct = draw(5)
    once = measure(known, unknown, correct, share=0.1)
    assert measure(known, np.repeat(unknown, 7), correct, share=0.1) == pytest.approx(once)


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_aurc_at_a_share_is_the_mean_selective_risk(share: float) -> None:
    known, unknown, correct = draw(6)
    scores, fails, weights = weighted(known, unknown, correct, share)
    risks = [
        np.sum(weights[fails & (scores <= score)]) / np.sum(weights[scores <= score])
        for score in scores
    ]
    expected = np.sum(weights * risks)
    assert aurc_at_share(known, unknown, correct, share=share) == pytest.approx(expected)


def test_by_hand() -> None:
    known, unknown = np.array([0.0, 1.0, 2.0]), np.array([1.5])
    correct = np.array([True, False, True])
    # Weights 1/4 each, in order: right, wrong, OOD, right. Failures rise from 0 to 1/4 and 1/2.
    assert augrc(known, unknown, correct, share=0.25) == pytest.approx(
        (0 + 1 / 8 + 3 / 8 + 1 / 2) / 4
    )
    assert aurc_at_share(known, unknown, correct, share=0.25) == pytest.approx(
        (0 + 1 / 2 + 2 / 3 + 2 / 4) / 4
    )
    found = outcomes(known, [unknown], correct)
    use = Use(0.25, accepted_ood=4, accepted_error=2, rejected_good=1)
    # All rejected: two good ones of three. Then good, good and error, these and OOD, all.
    assert found.risks(use) == pytest.approx([0.5, 0.25, 0.75, 1.75, 1.5])
    assert found.limits[found.best(use)] == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_best_risk_is_that_of_the_best_of_all_thresholds(seed: int) -> None:
    known, unknown, correct = draw(seed)
    _, other, _ = draw(seed + 10, m=20)
    use = Use(0.2, 5, 2, 1)
    found = outcomes(known, [unknown, other], correct)
    risks = [
        0.2 * 5 * (np.mean(unknown <= limit) + np.mean(other <= limit)) / 2
        + 0.8 * (2 * np.mean((known <= limit) & ~correct) + np.mean((known > limit) & correct))
        for limit in [-math.inf, *known, *unknown, *other]
    ]
    best = found.best(use)
    assert found.risks(use)[best] == pytest.approx(min(risks), abs=1e-12)
    costs = image_costs(known, [unknown, other], correct, found.limits[best], use)
    assert sum(part.mean() for part in costs) == pytest.approx(min(risks), abs=1e-12)


def test_share_and_cost_of_ood_inputs_are_one_thing() -> None:
    known, unknown, correct = draw(1)
    found = outcomes(known, [unknown], correct)
    rare, dear = Use(0.1, 9), Use(0.5, 1)
    assert rare.weights[0] / rare.weights[2] == pytest.approx(dear.weights[0] / dear.weights[2])
    assert found.best(rare) == found.best(dear)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"share": 0.0}, "the share of OOD inputs is 0, not between 0 and 1"),
        ({"share": 1.5}, "the share of OOD inputs is 1.5"),
        ({"share": 0.1, "accepted_ood": -1.0}, "the costs -1:1:1 are not numbers of at least 0"),
        ({"share": 0.1, "accepted_ood": math.inf}, "the costs inf:1:1"),
        ({"share": 0.1, "accepted_error": math.nan}, "the costs 1:nan:1"),
    ],
)
def test_impossible_conditions_are_refused(given: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Use(**given)


@pytest.mark.parametrize("measure", [augrc, aurc_at_share])
def test_misfits_are_refused(measure) -> None:
    known, unknown, correct = draw(0)
    with pytest.raises(ValueError, match="no OOD scores"):
        measure(known, unknown[:0], correct, share=0.1)
    with pytest.raises(ValueError, match="predictions for 39"):
        measure(known, unknown, correct[:-1], share=0.1)
    with pytest.raises(ValueError, match="share"):
        measure(known, unknown, correct, share=1.0)


def test_a_resampled_mean_is_that_of_the_images_drawn() -> None:
    values = [np.arange(12.0).reshape(2, 6), np.arange(8.0).reshape(2, 4)]
    means = bootstrap_means(values, samples=4000, seed=1)
    assert means.shape == (4000, 2)
    assert means.mean(axis=0) == pytest.approx(sum(part.mean(axis=1) for part in values), abs=0.1)
    assert np.ptp(means[:, 1] - means[:, 0]) < 1e-9  # the same images are drawn for both
    assert np.array_equal(means, bootstrap_means(values, samples=4000, seed=1, threads=2))


def test_the_variance_of_a_difference_is_that_of_the_bootstrap() -> None:
    random = np.random.default_rng(3)
    known = random.normal(0, 1, (3, 300))
    sets = [random.normal(1, 1, (3, size)) for size in (200, 100)]
    correct = random.random(300) < 0.8
    use, limits = Use(0.3, 5, 2, 1), [0.5, 0.8, 1.0]
    costs = [
        image_costs(own, [each[number] for each in sets], correct, limits[number], use)
        for number, own in enumerate(known)
    ]
    means = bootstrap_means([np.stack(parts) for parts in zip(*costs, strict=True)], samples=20_000)
    groups = [known[:, ~correct], known[:, correct], *sets]
    accepted = np.concatenate(groups, axis=1) <= np.array(limits)[:, None]
    sizes = [part.shape[1] for part in groups]
    differences, variances = risk_differences(accepted, sizes, use, 1)
    assert differences[1] == variances[1] == 0
    apart = means - means[:, [1]]
    exact = [sum(part.mean() for part in own) for own in costs]
    assert differences == pytest.approx(np.array(exact) - exact[1], abs=1e-12)
    assert apart.var(axis=0) == pytest.approx(variances, rel=0.05)


def test_a_sample_of_one_image_has_no_variance() -> None:
    accepted = np.array([[True, False, True], [True, True, False]])
    _, variances = risk_differences(accepted, [1, 1, 1], Use(0.5), 0)
    assert np.isnan(variances).all()


@pytest.mark.parametrize("seed", range(5))
def test_useful_thresholds_have_the_smallest_risk_at_every_share_and_cost(seed: int) -> None:
    known, unknown, correct = draw(seed, n=200, m=100)
    every = outcomes(known, [unknown], correct)
    useful = every.useful()
    assert len(useful.limits) < len(every.limits)
    for share in (0.001, 0.1, 0.9):
        for costs in ((1, 1, 1), (100, 1, 1), (0, 1, 5), (3, 0, 0.1), (0, 0, 1)):
            use = Use(share, *costs)
            assert useful.risks(use).min() == pytest.approx(every.risks(use).min(), abs=1e-12)


USE = Use(0.1, accepted_ood=5)


def simulate(random: np.random.Generator, separation: float, count: int):
    """Return the scores of two detectors of the same images, and correctness."""
    correct = random.random(count) < 0.9
    hardness = random.normal(0, 1, count) + 0.5 * ~correct
    unknown = random.normal(separation, 1, count)
    noise = [random.normal(0, 0.7, count) for _ in range(4)]
    return (
        (hardness + noise[0], hardness + noise[1]),
        (
            unknown + noise[2],
            unknown + noise[3],
        ),
        correct,
    )


def best_risk(separation: float) -> float:
    """Return the smallest risk of the population that `simulate` draws from."""
    limits = np.linspace(-6, 9, 20_001)
    scale = math.sqrt(1 + 0.7**2)
    accepted = [norm.cdf((limits - mean) / scale) for mean in (separation, 0.5, 0.0)]
    shares = np.stack([accepted[0], 0.1 * accepted[1], 0.9 * (1 - accepted[2])], axis=1)
    return float((shares @ USE.weights).min())


def test_intervals_cover_the_risk_and_the_difference_in_95_of_100_runs() -> None:
    random = np.random.default_rng(0)
    truth = best_risk(2.0)
    repetitions, covered, covered_difference = 400, 0, 0
    for _ in range(repetitions):
        known, unknown, correct = simulate(random, 2.0, 600)
        costs = []
        for own, other in zip(known, unknown, strict=True):
            found = outcomes(own, [other], correct)
            costs.append(image_costs(own, [other], correct, found.limits[found.best(USE)], USE))
        strata = [np.stack(parts) for parts in zip(*costs, strict=True)]
        risks = bootstrap_means(strata, samples=600)
        low, high = percentile_interval(risks)
        covered += bool(low[0] <= truth <= high[0])
        low, high = percentile_interval(risks[:, 1] - risks[:, 0])
        covered_difference += bool(low <= 0 <= high)
    assert 0.93 <= covered / repetitions <= 0.97
    assert 0.93 <= covered_difference / repetitions <= 0.97


def test_ranks_by_auroc_and_by_augrc_disagree_where_ood_inputs_are_rare() -> None:
    run = read_run(KEPT)
    predictions = run.predictions()
    rows = []
    for scored in scored_runs(run.records, run.scores()):
        own = predictions[
            (predictions["dataset"] == scored.id_dataset)
            & (predictions["split"] == "test")
            & (predictions["classifier_seed"] == scored.run[2])
        ]
        correct = (own["label"] == own["prediction"]).to_numpy()
        for unknown in scored.unknown.values():
            areas = {
                share: -augrc(scored.known, unknown, correct, share=share)
                for share in (0.01, 0.1, 0.5)
            }
            rows.append({"detector": scored.run[0], "auroc": auroc(scored.known, unknown), **areas})
    means = pd.DataFrame(rows).groupby("detector").mean()
    correlations = [kendalltau(means["auroc"], means[share])[0] for share in (0.01, 0.1, 0.5)]
    assert correlations == pytest.approx([0.634, 0.813, 0.939], abs=0.001)
    ranks = means.rank(ascending=False)
    assert list(ranks.loc["openmax", ["auroc", 0.1]]) == [2, 18]
    assert list(ranks.loc["msp", ["auroc", 0.1]]) == [21, 13]
