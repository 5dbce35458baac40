"""PixMix changes images as Pillow does, and mixes them by the formulas of its authors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from test_training_recipes import ThreeClasses, begun, cross_entropy, numbers

from oodbench.contracts import InvalidParameter, TrainingStep
from oodbench_training import mixing
from oodbench_training.fractals import Fractals
from oodbench_training.pixmix import PixMix

PIXELS = np.random.default_rng(0).integers(20, 230, (5, 12, 12, 3), dtype=np.uint8)
PIXELS[1] = 77  # flat
IMAGES = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255
LEVELS = torch.tensor([0.01, 0.1, 0.2, 0.26, 0.3])


def by_pillow(operation) -> np.ndarray:
    found = [
        np.asarray(operation(Image.fromarray(each), level))
        for each, level in zip(PIXELS, LEVELS.tolist(), strict=True)
    ]
    return np.stack(found).transpose(0, 3, 1, 2).astype(float)


VALUES = [
    lambda image, level: ImageOps.autocontrast(image),
    lambda image, level: ImageOps.equalize(image),
    lambda image, level: ImageOps.posterize(image, 4 - int(4 * level)),
    lambda image, level: ImageOps.solarize(image, 256 - int(256 * level)),
    *(
        lambda image, level, of=of: of(image).enhance(1.8 * level + 0.1)
        for of in (
            ImageEnhance.Color,
            ImageEnhance.Contrast,
            ImageEnhance.Brightness,
            ImageEnhance.Sharpness,
        )
    ),
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_values_change_as_in_pillow(number: int) -> None:
    found = 255 * numbers(mixing._of_values(IMAGES, LEVELS)[number])
    assert np.abs(found - by_pillow(VALUES[number])).max() <= 2  # Pillow rounds to whole greys


@pytest.mark.parametrize(
    ("which", "level", "matrix"),
    [
        (1, 0.5, (1, 0.15, -0.15 * 6, 0, 1, 0)),
        (2, -0.5, (1, 0, 0, -0.15, 1, 0.15 * 6)),
        (3, 0.6, (1, 0, 2, 0, 1, 0)),
        (4, -0.6, (1, 0, 0, 0, 1, -2)),
    ],
)
def test_images_move_as_in_pillow_about_their_centre(which: int, level: float, matrix) -> None:
    chosen = torch.full((5,), which)
    found = 255 * numbers(mixing.moved(IMAGES, chosen, torch.full((5,), level)))
    expected = np.stack(
        [
            np.asarray(
                Image.fromarray(each).transform(
                    (12, 12), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
                )
            )
            for each in PIXELS
        ]
    ).transpose(0, 3, 1, 2)
    assert np.abs(found - expected)[:, :, 3:-3, 3:-3].max() <= 2


def test_images_turn_about_their_centre_by_whole_degrees() -> None:
    found = 255 * numbers(mixing.moved(IMAGES, torch.zeros(5, dtype=torch.long), LEVELS * 1.1))
    for image, turned, level in zip(PIXELS, found, LEVELS.tolist(), strict=True):
        angle = int(30 * 1.1 * level)
        expected = np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR))
        difference = np.abs(turned.transpose(1, 2, 0) - expected)[3:-3, 3:-3]
        assert difference.max() <= 2


def test_sums_and_products_follow_their_formulas() -> None:
    a, b = torch.tensor([0.8, 1.2, 1.0]), torch.tensor([0.3, -0.2, -0.5])
    own, others = a[:, None, None, None], b[:, None, None, None]
    x, y = IMAGES[:3].double(), IMAGES[2:].double()
    y[0, 0, 0, 0], x[1, 0, 0, 0] = 0, 0
    sums = numbers(mixing.added(x, y, own, others))
    products = numbers(mixing.multiplied(x, y, own, others))
    for n in range(3):
        for place in ((0, 0, 0), (2, 5, 7)):
            p, q = float(x[n][place]), float(y[n][place])
            by_hand = (float(a[n]) * (2 * p - 1) + float(b[n]) * (2 * q - 1) + 1) / 2
            assert sums[n][place] == pytest.approx(by_hand)
            power = (2 * p) ** float(a[n]) * max(2 * q, 1e-37) ** float(b[n]) / 2
            assert products[n][place] == pytest.approx(power)


def test_weights_are_drawn_from_the_beta_distributions() -> None:
    uniform = torch.rand(3, 20_000, generator=torch.Generator().manual_seed(0))
    own, others = (each.flatten() for each in mixing.weights(3.0, uniform))
    toward = uniform[0] < 0.5
    # Beta(3, 1) has mean 3/4 and variance 3/80, Beta(1, 3) mean 1/4 and the same variance
    for values, mean in (
        (own[toward], 0.75),
        (others[toward], 0.25),
        (own[~toward], 1.25),
        (others[~toward], -0.25),
    ):
        assert values.mean().item() == pytest.approx(mean, abs=0.01)
        assert values.var().item() == pytest.approx(3 / 80, rel=0.05)
    assert abs(np.corrcoef(own[toward], others[toward])[0, 1]) < 0.05


@pytest.mark.parametrize("images", [IMAGES, IMAGES[:, :1]])
def test_mixed_images_are_images_and_the_generator_draws_them(images) -> None:
    pictures = images.flip(0)
    first, again = (
        mixing.mixed(images, pictures, 4, 3.0, 3.0, torch.Generator().manual_seed(5))
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert 0 <= first.min() <= first.max() <= 1
    assert not torch.equal(first, images)


def test_without_rounds_about_half_of_the_images_stay() -> None:
    images = IMAGES[:1].expand(400, -1, -1, -1)
    found = mixing.mixed(images, images, 0, 3.0, 3.0, torch.Generator().manual_seed(0))
    kept = (found == images).flatten(1).all(dim=1).float().mean()
    assert kept.item() == pytest.approx(0.5, abs=0.1)


def test_the_loss_is_that_of_mixed_images() -> None:
    recipe = PixMix(rounds=2)
    module, step = begun(recipe)
    step = TrainingStep(**{**vars(step), "auxiliary": torch.rand(3, *step.images.shape[1:])})
    seen = []
    step = TrainingStep(
        **{**vars(step), "features": lambda images: module.features(seen.append(images) or images)}
    )
    loss, logits = recipe.objective(step)
    assert torch.equal(module(seen[0]), logits)
    assert loss.item() == pytest.approx(cross_entropy(numbers(logits), step.labels), rel=1e-5)
    assert not torch.equal(seen[0], step.images)
    assert recipe.on(ThreeClasses()).auxiliary() == "fractals"


def test_a_fractal_depends_on_seed_and_number_alone() -> None:
    few, many = (Fractals(count=count).load(None, "test").images for count in (3, 5))
    assert np.array_equal(few, many[:3])
    assert not np.array_equal(few, Fractals(seed=1, count=3).load(None, "test").images)


def test_fractals_are_neither_flat_nor_noise() -> None:
    pictures = Fractals(count=40).load(None, "test").images.astype(float)
    spread = pictures.std(axis=(1, 2)).mean(axis=1)
    steps = np.abs(np.diff(pictures, axis=1)).mean(axis=(1, 2, 3))
    assert spread.min() > 5
    assert np.median(steps / spread) < 0.8  # of noise, it is 1.1


@pytest.mark.parametrize(
    ("plugin", "wrong"),
    [
        (PixMix, {"rounds": -1}),
        (PixMix, {"severity": 0}),
        (PixMix, {"strength": 0}),
        (Fractals, {"seed": -1}),
        (Fractals, {"count": 0}),
    ],
)
def test_parameters_out_of_range_are_refused(plugin, wrong) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        plugin(**wrong)
