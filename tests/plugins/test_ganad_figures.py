"""GANAD's figures show its generator as the paper does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.plot.view import StoredRun
from oodbench.registry.lookup import load_registry
from oodbench.results.run import read_run
from oodbench.store.artifacts import Store
from oodbench_ganad import seeds
from oodbench_ganad.figures.growth import GrowingSeeds, tiled
from oodbench_ganad.figures.norms import NormDistribution, printed_density
from oodbench_ganad.figures.outputs import OutputsByNorm
from oodbench_ganad.figures.samples import Samples, by_class, describe, quality_of
from oodbench_ganad.figures.sampling import Sampler, norms_up_to_largest


@pytest.fixture
def view(drawable: Path, store: Path) -> StoredRun:
    return StoredRun(read_run(drawable), Store(store), load_registry())


@pytest.fixture
def sampler(view: StoredRun) -> Sampler:
    return Sampler.of(view)


def test_equation_1_as_printed_is_the_density_of_the_largest_coordinate() -> None:
    samples = torch.randn(50_000, 64, generator=torch.Generator().manual_seed(0)).amax(dim=1)
    norms = torch.linspace(0, 8, 4001)
    mean = torch.trapezoid(norms * printed_density(norms, 64), norms)
    assert float(mean) == pytest.approx(float(samples.mean()), abs=0.01)


def test_the_corrected_curve_follows_the_samples_and_the_printed_one_does_not(
    view: StoredRun,
) -> None:
    panel = NormDistribution().draw(view)[""].axes[0]
    printed, corrected = panel.lines
    (bars,) = panel.containers
    middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    heights = np.array([bar.get_height() for bar in bars])
    differences = [
        np.abs(np.interp(middles, *line.get_data()) - heights).max()
        for line in (printed, corrected)
    ]
    assert differences[0] > 0.2
    assert differences[1] < 0.06


def test_norms_go_from_0_to_15() -> None:
    assert norms_up_to_largest(1).tolist() == list(range(16))
    assert norms_up_to_largest(0.5)[-1] == 15
    assert len(norms_up_to_largest(0.5)) == 31


def test_a_grown_image_is_that_of_its_seed_and_norm(sampler: Sampler) -> None:
    directions = sampler.directions(3)
    grown = sampler.grown(directions, torch.tensor([0.0, 2.0, 6.5]), label=4)
    seed = seeds.rescale(directions[1:2], torch.tensor([6.5]))
    with torch.no_grad():
        expected = sampler.wgan.generator_(seed, torch.tensor([4]))[0]
    assert grown.shape == (3, 3, *sampler.shape)
    torch.testing.assert_close(grown[1, 2], expected)


def test_at_norm_0_all_seeds_give_the_same_image(sampler: Sampler) -> None:
    grown = sampler.grown(sampler.directions(2), torch.tensor([0.0, 5.0]), label=1)
    torch.testing.assert_close(grown[0, 0], grown[1, 0])
    assert not torch.allclose(grown[0, 1], grown[1, 1])


def test_tiles_lie_in_rows_and_columns_with_a_white_pixel_between_them() -> None:
    lines = torch.arange(6).float().reshape(2, 3, 1, 1, 1).expand(2, 3, 1, 2, 2) / 10
    mosaic = tiled(lines)
    assert mosaic.shape == (5, 8, 1)
    torch.testing.assert_close(mosaic[0, :, 0], torch.tensor([0, 0, 1, 0.1, 0.1, 1, 0.2, 0.2]))
    torch.testing.assert_close(mosaic[:, 0, 0], torch.tensor([0, 0, 1, 0.3, 0.3]))


def test_the_line_of_the_classes_figure_stands_right_of_norm_5(view: StoredRun) -> None:
    axes = GrowingSeeds().draw(view)["classes"].axes[0]
    shown = [label.get_text() for label in axes.get_xticklabels()]
    border = axes.lines[0].get_xdata()[0]
    middles = dict(zip(shown, axes.get_xticks(), strict=True))
    assert middles["5"] < border < middles["6"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(n) for n in range(10)]


def test_outputs_are_means_over_seeds_of_one_class(view: StoredRun, sampler: Sampler) -> None:
    pictures = OutputsByNorm().draw(view)
    assert list(pictures) == ["critic", "ganad"]
    upper, lower = pictures["ganad"].axes
    images = sampler.grown(sampler.directions(50), torch.tensor([7.5]), label=3).squeeze(1)
    (at,) = np.flatnonzero(lower.lines[3].get_xdata() == 7.5)
    score, confidence = (axes.lines[3].get_ydata()[at] for axes in (lower, upper))
    assert score == pytest.approx(view.score("ganad", images).mean(), rel=1e-4)
    assert confidence == pytest.approx(view.classify(images).confidence.mean(), rel=1e-4)


def test_the_critic_is_judged_with_the_class_that_the_classifier_sees(
    view: StoredRun, sampler: Sampler
) -> None:
    _, lower = OutputsByNorm().draw(view)["critic"].axes
    images = sampler.grown(sampler.directions(50), torch.tensor([0.0]), label=2).squeeze(1)
    classes = torch.from_numpy(view.classify(images).logits.argmax(axis=1))
    with torch.no_grad():
        expected = -sampler.wgan.critic_(images, classes).mean()
    assert lower.lines[2].get_ydata()[0] == pytest.approx(float(expected), rel=1e-4)


def test_samples_show_id_images_fakes_and_near_anomalies(view: StoredRun, sampler: Sampler) -> None:
    pictures = Samples().draw(view)
    assert list(pictures) == ["id", "fakes", "anomalies"]
    quality = quality_of(view, sampler)
    assert pictures["fakes"].axes[0].get_title() == describe(quality)
    assert quality.images == len(view.outputs(view.id_dataset)) // 2
    assert 0 <= quality.accuracy <= 1
    assert quality.distance > quality.floor > 0


def test_a_line_of_samples_holds_a_class_and_white_where_there_are_too_few() -> None:
    images = torch.arange(12).float().reshape(12, 1, 1, 1) / 20
    lines = by_class(images, np.array([0] * 11 + [1]), classes=2)
    torch.testing.assert_close(lines[0].flatten(), torch.arange(10) / 20)
    assert lines[1].flatten().tolist() == [pytest.approx(11 / 20), *[1.0] * 9]
