"""A guard in use: images in, predictions, scores and p-values out."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from torch import Tensor

from oodbench.contracts import Batch, Context, Detector, Need
from oodbench.errors import InvalidData, UserError, describe
from oodbench.guard.folder import CALIBRATION, CLASSIFIER, DETECTOR, Folder, read_folder
from oodbench.hardware import BATCH_SIZES, resolve_gpus
from oodbench.images.geometry import to_geometry
from oodbench.measures.conformal import checked_alpha, conformal_p_values, conformal_threshold
from oodbench.registry.lookup import Registry, load_registry
from oodbench.request.classifiers import remake
from oodbench.stages.fit import restore
from oodbench.stages.modules import load_classifier
from oodbench.stages.network import Network
from oodbench.stages.passing import GRADIENT_IMAGES, reduced, wants_gradients
from oodbench.stages.score import checked

SCORES, PREDICTIONS = "scores", "predictions"
"""The arrays of the calibration images."""


@dataclass(frozen=True)
class Judged:
    """What a guard makes of n images.

    Attributes:
        predictions: (n,) int64, the classes that the classifier takes them for.
        confidences: (n,) float32 in [0, 1], its largest softmax outputs.
        scores: (n,) float, the detector's; larger = more likely OOD.
        p_values: (n,) float64 in (0, 1]: conformal p-values, small where few calibration images
            score as high.
    """

    predictions: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float32]
    scores: npt.NDArray[np.floating[Any]]
    p_values: npt.NDArray[np.float64]

    def accepted(self, alpha: float = 0.05) -> npt.NDArray[np.bool_]:
        """Return which images are accepted, (n,), at a false-alarm rate of at most ``alpha``.

        Of inputs that are drawn as the calibration images were, at most that share is rejected,
        over the draw of both.

        Raises:
            ValueError: if alpha is not within (0, 1).
        """
        flags: npt.NDArray[np.bool_] = self.p_values > checked_alpha(alpha)
        return flags


CHANNELS = {1, 3, 4}
"""Numbers of channels that one image may have: grey, colour, and colour with transparency."""


class Guard:
    """A classifier with a fitted detector in front of it; `load_guard` makes one.

    It computes in float32. It is not safe to call from several threads at once.

    Args:
        folder: the guard's folder.
        registry: the installed plugins.
        device: to compute on.
        by_class: whether p-values and thresholds are those of the predicted class.

    Attributes:
        card: what ``card.json`` says.
        shape: (c, h, w) of the images that the classifier sees.
        module: the trained classifier, in evaluation mode.
        detector: the fitted detector.
    """

    def __init__(
        self, folder: Folder, registry: Registry, device: str = "cpu", *, by_class: bool = False
    ) -> None:
        self.card: Mapping[str, Any] = folder.card
        self.by_class = by_class
        self._device = torch.device(device)
        channels, height, width = self.card["images"]["shape"]
        self.shape = (int(channels), int(height), int(width))
        trained = folder.part(CLASSIFIER)
        assert trained is not None
        classifier = remake(self.card["classifier"]["made"], registry)
        self.module = load_classifier(classifier, trained, device)
        self._network = Network(self.module, device)
        self._seed = int(self.card["detector"]["seed"] or 0)
        ((name, values),) = self.card["detector"]["made"].items()
        self.detector: Detector = registry.detectors[name].create(**values)
        if Need.LAYERS in self.detector.needs:
            self._network.look_inside(classifier.layers(self.module), self.shape)
        fitted = folder.part(DETECTOR)
        if fitted is not None:
            self.detector = restore(self.detector, fitted, self._context())
        self._calibration = (
            load_file(folder.path / CALIBRATION) if CALIBRATION in self.card["files"] else {}
        )

    def __call__(self, images: Tensor | npt.NDArray[np.uint8]) -> Judged:
        """Return what the guard makes of images.

        Args:
            images: (n, h, w), (n, h, w, 1) or (n, h, w, 3) uint8 of any size, which are made grey,
                resized and repeated as data sets are; or a tensor (n, c, h, w) of the guard's own
                geometry, uint8 or floating point in [0, 1], on any device. Pass one image as
                ``images[None]``.

        Raises:
            ValueError: if they are something else, or (n, h, w) that may be one image, with 1, 3
                or 4 channels first or last. Not refused are (1, h, w), which is one grey image
                either way, and grey images of the own geometry of a guard of grey images.
            PluginError: if the detector returns scores that are NaN or infinite.
        """
        own = self._read(images)
        found: list[tuple[npt.NDArray[Any], ...]] = []
        size = BATCH_SIZES[self._device.type]
        if wants_gradients(self.detector):
            size = min(size, GRADIENT_IMAGES[self._device.type])
        # Detectors that draw while they score do so from the same seed each time, and the caller's
        # generators are left as they were.
        devices = [] if self._device.type == "cpu" else [self._device]
        with (
            torch.random.fork_rng(devices),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            torch.no_grad(),
        ):
            torch.default_generator.manual_seed(self._seed)
            if devices:
                torch.cuda.manual_seed(self._seed)
            for start in range(0, len(own), size):
                found.append(self._judge(own[start : start + size]))
        empty = (np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32))
        predictions, confidences, scores = (
            [np.concatenate(parts) for parts in zip(*found, strict=True)] if found else empty
        )
        return Judged(predictions, confidences, scores, self._p_values(scores, predictions))

    def threshold(self, alpha: float = 0.05, predicted_class: int | None = None) -> float:
        """Return the largest score that is accepted at a false-alarm rate of at most ``alpha``.

        Of n calibration scores in ascending order it is the ceil((n + 1) (1 - alpha))-th; infinite
        where there are too few for any to be rejected.

        Args:
            alpha: in (0, 1).
            predicted_class: with ``by_class``, the class whose calibration images are meant.

        Raises:
            ValueError: if alpha is not within (0, 1), or a class is lacking or out of place.
        """
        if self.by_class != (predicted_class is not None):
            raise ValueError(
                "a guard that was loaded with by_class=True has a threshold for each class, and "
                "any other guard has one for all"
            )
        return conformal_threshold(alpha, self._calibration_scores(predicted_class))

    def _calibration_scores(self, predicted_class: int | None) -> npt.NDArray[Any]:
        scores: npt.NDArray[Any] = self._calibration[SCORES]
        if predicted_class is None:
            return scores
        own: npt.NDArray[Any] = scores[self._calibration[PREDICTIONS] == predicted_class]
        return own

    def _p_values(
        self, scores: npt.NDArray[Any], predictions: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        if not self._calibration:  # while it is made
            return np.ones(len(scores))
        if not self.by_class:
            return conformal_p_values(scores, self._calibration_scores(None))
        p_values = np.ones(len(scores))
        for each in np.unique(predictions):
            own = predictions == each
            p_values[own] = conformal_p_values(scores[own], self._calibration_scores(int(each)))
        return p_values

    def _read(self, images: Any) -> Tensor:
        """Return images (n, c, h, w), uint8 or float32."""
        if isinstance(images, np.ndarray):
            channels = images.shape[3:]
            if images.dtype != np.uint8 or images.ndim < 3 or channels not in ((), (1,), (3,)):
                raise ValueError(
                    f"images are {images.dtype} {images.shape}, not uint8 (n, h, w), (n, h, w, 1) "
                    "or (n, h, w, 3)"
                )
            if channels == (1,):
                images = images[..., 0]
            elif not channels and may_be_one(images.shape, self.shape):
                raise ValueError(
                    f"images are uint8 {images.shape}, which may be one image with its channels: "
                    "pass one as images[None], channels last, and grey ones as images[..., None]"
                )
            return torch.from_numpy(to_geometry(images, self.shape))
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1:] != self.shape:
            expected = ", ".join(map(str, self.shape))
            found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise ValueError(f"images are {found}, not an array or a tensor (n, {expected})")
        if images.dtype == torch.uint8:
            return images
        if not images.is_floating_point() or not ((images >= 0) & (images <= 1)).all():
            raise ValueError("images are neither uint8 nor floating point in [0, 1]")
        return images.float()

    def _judge(self, images: Tensor) -> tuple[npt.NDArray[Any], ...]:
        """Return predictions, confidences and scores of a batch."""
        images = images.to(self._device)
        inputs = images.float().div(255) if images.dtype == torch.uint8 else images
        passed = self._network(
            inputs.contiguous(memory_format=torch.channels_last),
            gradients=wants_gradients(self.detector),
        )
        features, logits = passed.features.detach(), passed.logits.detach()
        confidences, predictions = logits.softmax(dim=1).max(dim=1)
        batch = batch_for(
            self.detector,
            inputs,
            features,
            logits,
            reduced(self.detector, passed) if Need.LAYERS in self.detector.needs else None,
        )
        scores = checked(self.detector.score(batch), batch)
        return tuple(each.cpu().numpy() for each in (predictions, confidences, scores))

    def _context(self) -> Context:
        needs = self.detector.needs | self.detector.needs_to_fit()
        return Context(
            device=self._device,
            seed=self._seed,
            shape=self.shape,
            num_classes=self.card["images"]["num_classes"],
            layers=self._network.shapes,
            _classifier=self.module if Need.CLASSIFIER in needs else None,
        )


def may_be_one(shape: tuple[int, ...], own: tuple[int, int, int]) -> bool:
    """Return whether an array (n, h, w) of grey images could be one image and its channels.

    It could if its first or last dimension is a number of channels, but not (1, h, w), which is one
    grey image either way, nor grey images of a guard's own geometry (1, h, w).

    Args:
        shape: (n, h, w).
        own: (c, h, w) of the guard.
    """
    count, *size = shape
    channels, *own_size = own
    if (channels, *own_size) == (1, *size):
        return False
    return size[-1] in CHANNELS or count in CHANNELS - {1}


def batch_for(
    detector: Detector,
    inputs: Tensor,
    features: Tensor,
    logits: Tensor,
    reduced: Tensor | None = None,
) -> Batch:
    """Return what a detector needs of images (n, c, h, w) in [0, 1] and of what followed from them.

    Nothing is looked at but shapes, so that tracers can pass through.
    """
    needs = detector.needs
    return Batch(
        torch.full((inputs.shape[0],), -1, device=inputs.device),
        inputs=inputs if Need.INPUTS in needs else None,
        logits=logits if Need.LOGITS in needs else None,
        features=features if Need.FEATURES in needs else None,
        reduced=reduced,
    )


def load_guard(folder: str | Path, *, device: str = "cpu", by_class: bool = False) -> Guard:
    """Load a guard that ``oodbench export RUN --guard DETECTOR DIR`` wrote.

    All files are compared with their checksums, and nothing is unpickled. The plugins of classifier
    and detector must be installed; the card names them.

    Args:
        folder: the guard's folder.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for a GPU if there is one.
        by_class: whether false alarms are bounded for each predicted class, and not only for all
            inputs together; each class has its own thresholds then, from fewer images.

    Raises:
        UserError: if there is no guard, no such device, or a plugin is missing.
        InvalidData: if a file is missing or damaged, or of another version.
    """
    found = read_folder(Path(folder).expanduser())
    chosen = "cuda" if resolve_gpus(device) else "cpu"
    registry = _registry()
    try:
        with torch.random.fork_rng([]):  # networks are built with random weights first
            return Guard(found, registry, chosen, by_class=by_class)
    except UserError as error:
        wanted = " and ".join(
            dict.fromkeys(found.card[part]["plugin"] for part in (DETECTOR, CLASSIFIER))
        )
        raise UserError(f"'{folder}' needs the plugins of {wanted}: {error}") from error
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InvalidData(
            f"'{folder}' cannot be read by the installed version of its plugins ({describe(error)})"
        ) from error


@functools.cache
def _registry() -> Registry:
    return load_registry()
