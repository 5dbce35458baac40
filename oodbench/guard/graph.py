"""Guards as ONNX graphs, for other runtimes (extra ``onnx``)."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from oodbench.contracts import Detector, Need
from oodbench.errors import UserError
from oodbench.guard.guard import Guard, batch_for
from oodbench.hardware import BATCH_SIZES

GRAPH = "guard.onnx"

PACKAGES = ("onnx", "onnxruntime", "onnxscript")

OPSET = 18
"""The version of ONNX's operators; runtimes since 2023 know it."""

TOLERANCE = 1e-5
"""How far a score may be from the guard's, relative to its own size or to the median size of the
calibration scores, whichever is larger."""

TRACED = 4
"""Images that pass while the graph is recorded."""


class _Judge(nn.Module):
    """A classifier and a detector as one module, from images to logits and scores."""

    def __init__(self, module: nn.Module, detector: Detector) -> None:
        super().__init__()
        self._module: Any = module
        self._detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, k) and scores (n,) of images (n, c, h, w) in [0, 1]."""
        features = self._module.features(images)
        logits = self._module.head(features)
        return logits, self._detector.score(batch_for(self._detector, images, features, logits))


def write_graph(guard: Guard, images: Tensor, path: Path) -> None:
    """Write a guard as an ONNX graph that gives the guard's scores.

    Its input is ``images`` (n, c, h, w) float32 in [0, 1], for any n; its outputs are ``logits``
    (n, k) and ``scores`` (n,). The thresholds are those of the guard.

    Args:
        guard: the guard, on the CPU.
        images: (n, c, h, w) uint8, on which the scores are compared.
        path: of the file.

    Raises:
        UserError: if the extra is not installed, the detector is not one that a graph can hold, or
            the scores differ by more than `TOLERANCE`.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"an ONNX graph needs {', '.join(missing)}; the extra 'onnx' has what is missing, or: "
            f"pip install {' '.join(missing)}"
        )
    refusal = f"{guard.card['detector']['name']} cannot be written as an ONNX graph"
    obstacle = _obstacle(guard.detector)
    if obstacle is not None:
        raise UserError(f"{refusal}: {obstacle}")
    try:
        with _silent(), torch.no_grad():
            judge = _Judge(guard.module, guard.detector).eval()
            _convert(_record(judge, images[:TRACED].float().div(255)), path)
        found = _scores(path, images)
    except Exception as error:  # tracer, converter and runtime each have many ways to fail
        raise UserError(f"{refusal}: {_first_sentence(error)}") from error
    difference = _difference(found, guard(images).scores)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{refusal}: its scores would differ by up to {difference:.1e} of their size, and the "
            f"limit is {TOLERANCE:.0e}"
        )


def _obstacle(detector: Detector) -> str | None:
    """Return why no graph can hold a detector, if its needs tell."""
    if Need.LAYERS in detector.needs:
        return "it reads inner layers of the classifier"
    if {Need.INPUTS, Need.CLASSIFIER} <= detector.needs:
        return "it passes images through the classifier again, or takes gradients"
    return None


def _record(judge: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Return what a module computes for any number of images.

    By the values that pass where that succeeds, and else by reading the code, which takes longer
    but also follows ``len`` of a tensor.
    """
    shapes = ({0: torch.export.Dim("n")},)
    try:
        return torch.export.export(judge, (images,), dynamic_shapes=shapes, strict=False)
    except Exception:  # the second way has better reasons
        return torch.export.export(judge, (images,), dynamic_shapes=shapes, strict=True)


def _convert(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write a recorded program as an ONNX graph."""
    torch.onnx.export(
        program,
        f=path,
        input_names=["images"],
        output_names=["logits", "scores"],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _scores(path: Path, images: Tensor) -> npt.NDArray[Any]:
    """Return the scores (n,) of images (n, c, h, w) uint8 by a graph."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts = (part.float().div(255).numpy() for part in images.split(BATCH_SIZES["cpu"]))
    return np.concatenate([session.run(["scores"], {"images": part})[0] for part in parts])


def _difference(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Return the largest difference of scores, relative as `TOLERANCE` says."""
    sizes = np.abs(expected)
    scale = np.maximum(sizes, np.median(sizes))
    return float(np.max(np.abs(found - expected) / np.maximum(scale, np.finfo(np.float32).tiny)))


def _first_sentence(error: BaseException) -> str:
    """Return the cause of an error, without the advice that follows it."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's progress and advice to itself: a failure is told in one sentence."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
        ):
            yield
    finally:
        logging.disable(level)
