"""Noise, digits, glyphs and patches need no files."""

import hashlib

import matplotlib
import numpy as np
import pytest
import sklearn.datasets

from oodbench.contracts import DataUnavailable, InvalidParameter
from oodbench_datasets.digits import Digits, RotatedDigits
from oodbench_datasets.glyphs import SYMBOLS, Glyphs
from oodbench_datasets.noise import Gaussian, Uniform
from oodbench_datasets.photos import PhotoPatches

NOISE = pytest.mark.parametrize("noise", [Uniform, Gaussian])


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory):
    return Glyphs().load(tmp_path_factory.mktemp("empty"), "test")


def images_of(dataset, root, split="test"):
    return dataset.load(root, split).images


def digest(images):
    return hashlib.md5(images.tobytes()).hexdigest()


class TestNoise:
    @NOISE
    def test_an_image_does_not_depend_on_how_many_are_asked_for(self, noise, tmp_path):
        few, many = images_of(noise(count=5), tmp_path), images_of(noise(count=50), tmp_path)
        assert np.array_equal(few, many[:5])

    @NOISE
    def test_all_images_differ(self, noise, tmp_path):
        assert len(np.unique(images_of(noise(count=300), tmp_path), axis=0)) == 300

    @NOISE
    def test_another_seed_gives_other_images(self, noise, tmp_path):
        images = images_of(noise(count=5), tmp_path)
        assert (images != images_of(noise(count=5, seed=1), tmp_path)).any((1, 2)).all()

    @pytest.mark.parametrize(
        ("noise", "expected"),
        [
            (Uniform, "25ea66550322c4171df910c4fa9a356c"),
            (Gaussian, "76afd9c22a16a659142f7753f5ae9574"),
        ],
    )
    def test_images_are_the_same_on_every_machine(self, noise, expected, tmp_path):
        assert digest(images_of(noise(count=10), tmp_path)) == expected

    def test_uniform_has_all_grey_levels_equally_often(self, tmp_path):
        counts = np.bincount(images_of(Uniform(count=1000), tmp_path).ravel(), minlength=256)
        share = counts[1:255] / counts.sum()  # rounding halves the share of the two ends
        assert np.allclose(share, 1 / 255, rtol=0.1)

    def test_gaussian_has_the_moments_of_the_clipped_normal(self, tmp_path):
        pixels = images_of(Gaussian(count=1000), tmp_path) / 255
        assert (pixels == 0).mean() == pytest.approx(0.1587, abs=0.003)  # P(x < mean - deviation)
        assert (pixels == 1).mean() == pytest.approx(0.1587, abs=0.003)
        assert pixels.mean() == pytest.approx(0.5, abs=0.003)

    @NOISE
    def test_neighbouring_pixels_are_independent(self, noise, tmp_path):
        pixels = images_of(noise(count=200), tmp_path).astype(float)
        assert np.corrcoef(pixels[:, :, 1:].ravel(), pixels[:, :, :-1].ravel())[0, 1] < 0.01

    @NOISE
    @pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 20, 30)])
    def test_noise_is_drawn_in_the_geometry_of_the_id_set(self, noise, shape, tmp_path):
        fitted = noise(seed=3, count=2).fitted(shape)
        assert (fitted.seed, fitted.count, fitted.shape) == (3, 2, shape)
        assert np.moveaxis(np.atleast_3d(images_of(fitted, tmp_path)[0]), 2, 0).shape == shape

    @NOISE
    @pytest.mark.parametrize(
        "wrong", [{"seed": -1}, {"count": 0}, {"shape": (2, 8, 8)}, {"shape": (1, 0, 8)}]
    )
    def test_parameters_out_of_range_are_refused(self, noise, wrong):
        with pytest.raises(InvalidParameter, match=noise.info.name):
            noise(**wrong)


class TestDigits:
    def test_the_splits_are_all_of_scikit_learns_digits(self, tmp_path):
        ours = np.concatenate([images_of(Digits(), tmp_path, split) for split in Digits.splits])
        theirs = np.rint(sklearn.datasets.load_digits().images * 255 / 16)
        assert len(ours) == 1797
        assert np.array_equal(np.unique(ours, axis=0), np.unique(theirs, axis=0))

    def test_a_third_of_every_class_is_for_testing(self, tmp_path):
        test, train = (np.bincount(Digits().load(tmp_path, s).labels) for s in ("test", "train"))
        assert len(test) == 10
        assert np.array_equal(test, (test + train) // 3)

    def test_every_third_image_of_a_class_is_for_testing(self, tmp_path):
        digits = sklearn.datasets.load_digits()
        zeros = np.rint(digits.images[digits.target == 0] * 255 / 16)
        test = Digits().load(tmp_path, "test")
        assert np.array_equal(test.images[test.labels == 0], zeros[2::3])

    def test_ink_is_255_on_0(self, tmp_path):
        images = images_of(Digits(), tmp_path)
        assert (images.min(), images.max()) == (0, 255)
        assert (images[:, :, 0] == 0).mean() > 0.9  # the first column is nearly always paper


class TestRotatedDigits:
    @pytest.mark.parametrize("quarter_turns", [1, 3])
    def test_turning_back_gives_the_test_digits_without_the_zeros(self, quarter_turns, tmp_path):
        upright = Digits().load(tmp_path, "test")
        turned = images_of(RotatedDigits(quarter_turns=quarter_turns), tmp_path)
        back = np.rot90(turned, -quarter_turns, axes=(1, 2))
        assert np.array_equal(back, upright.images[upright.labels != 0])

    @pytest.mark.parametrize("quarter_turns", [0, 2, 4, -1])
    def test_turns_that_leave_digits_are_refused(self, quarter_turns):
        with pytest.raises(InvalidParameter, match="quarter_turns"):
            RotatedDigits(quarter_turns=quarter_turns)


class TestGlyphs:
    def test_there_are_thousands_and_no_two_are_alike(self, glyphs):
        assert len(glyphs) > 3000
        assert len(np.unique(glyphs.images, axis=0)) == len(glyphs)

    def test_every_symbol_is_drawn_often(self, glyphs):
        assert np.bincount(glyphs.labels, minlength=len(SYMBOLS)).min() >= 10

    def test_there_is_no_digit_nor_what_looks_like_one(self):
        assert not set(SYMBOLS) & set("0123456789OoQDlI|iSsZzBbGgq")
        assert len(set(SYMBOLS)) == len(SYMBOLS)

    def test_every_glyph_reaches_from_top_to_bottom(self, glyphs):
        rows = glyphs.images.max(axis=2)
        assert (rows[:, 0] > 0).all()
        assert (rows[:, -1] > 0).all()

    def test_glyphs_are_centred_and_leave_the_outer_columns_empty(self, glyphs):
        ink = glyphs.images.any(axis=1)
        left, right = ink.argmax(axis=1), ink[:, ::-1].argmax(axis=1)
        assert left.min() >= 3
        assert right.min() >= 3
        assert np.abs(left - right).max() <= 2

    def test_glyphs_have_ink_and_paper_and_smooth_edges(self, glyphs):
        share = (glyphs.images > 127).mean(axis=(1, 2))
        assert share.min() > 0.05
        assert share.max() < 0.75
        assert ((glyphs.images > 0) & (glyphs.images < 255)).any(axis=(1, 2)).mean() > 0.99

    def test_missing_fonts_are_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
        with pytest.raises(DataUnavailable, match=r"DejaVuSans\.ttf.*matplotlib"):
            Glyphs().load(tmp_path, "test")


class TestPhotoPatches:
    def test_patches_are_many_and_distinct(self, tmp_path):
        images = images_of(PhotoPatches(), tmp_path)
        assert images.shape == (1040, 32, 32, 3)
        assert len(np.unique(images, axis=0)) == 1040

    def test_the_first_patch_is_the_corner_of_the_first_photograph(self, tmp_path):
        china = sklearn.datasets.load_sample_image("china.jpg")
        assert np.array_equal(images_of(PhotoPatches(), tmp_path)[0], china[:32, :32])

    def test_the_last_patch_is_the_other_corner_of_the_other_reduced(self, tmp_path):
        flower = sklearn.datasets.load_sample_image("flower.jpg")
        corner = flower[-4:, -4:].mean(axis=(0, 1))
        assert np.array_equal(images_of(PhotoPatches(), tmp_path)[-1, -1, -1], np.rint(corner))
