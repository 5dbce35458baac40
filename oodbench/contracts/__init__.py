"""What a plugin promises, and all that it imports of oodbench."""

from pluggy import HookimplMarker

from oodbench.contracts.benchmark import Benchmark
from oodbench.contracts.classifier import Classifier, Recipe
from oodbench.contracts.data import Batch, Context, Need, Stream
from oodbench.contracts.dataset import Dataset, ImageSet
from oodbench.contracts.detector import Detector, Trainable, parameters
from oodbench.contracts.info import Info, Paper
from oodbench.errors import DataUnavailable, InvalidData, InvalidParameter, PluginError

hookimpl = HookimplMarker("oodbench")
"""Mark a function of a plugin module as one of the hooks in `oodbench.hookspecs`."""

__all__ = [
    "Batch",
    "Benchmark",
    "Classifier",
    "Context",
    "DataUnavailable",
    "Dataset",
    "Detector",
    "ImageSet",
    "Info",
    "InvalidData",
    "InvalidParameter",
    "Need",
    "Paper",
    "PluginError",
    "Recipe",
    "Stream",
    "Trainable",
    "hookimpl",
    "parameters",
]
