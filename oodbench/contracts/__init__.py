"""The contracts of plugins: what a plugin implements and what it is given."""

from pluggy import HookimplMarker

from oodbench.contracts.benchmark import Benchmark
from oodbench.contracts.classifier import Classifier, Recipe
from oodbench.contracts.data import Batch, Checkpoint, Context, Need, Stream
from oodbench.contracts.dataset import Dataset, GeneratedDataset, ImageSet
from oodbench.contracts.detector import SHORTCUT, Detector, State, Trainable, parameters
from oodbench.contracts.figure import (
    COLUMN_WIDTH,
    FeatureMap,
    Figure,
    Outputs,
    RunView,
    plain_label,
    score_range,
)
from oodbench.contracts.info import Info, Paper
from oodbench.contracts.layers import FEATURES, Layers, by_channel, channels
from oodbench.contracts.shaping import Shaping
from oodbench.contracts.training import CustomClassifier, DerivedClassifier, TrainingStep
from oodbench.errors import (
    DataUnavailable,
    FigureUnavailable,
    InvalidData,
    InvalidParameter,
    PluginError,
)

GROUP = "oodbench"
"""The entry-point group in which a distribution names its plugin modules."""

hookimpl = HookimplMarker(GROUP)
"""Mark a function of a plugin module as one of the hooks in `oodbench.registry.hookspecs`."""

__all__ = [
    "COLUMN_WIDTH",
    "FEATURES",
    "GROUP",
    "SHORTCUT",
    "Batch",
    "Benchmark",
    "Checkpoint",
    "Classifier",
    "Context",
    "CustomClassifier",
    "DataUnavailable",
    "Dataset",
    "DerivedClassifier",
    "Detector",
    "FeatureMap",
    "Figure",
    "FigureUnavailable",
    "GeneratedDataset",
    "ImageSet",
    "Info",
    "InvalidData",
    "InvalidParameter",
    "Layers",
    "Need",
    "Outputs",
    "Paper",
    "PluginError",
    "Recipe",
    "RunView",
    "Shaping",
    "State",
    "Stream",
    "Trainable",
    "TrainingStep",
    "by_channel",
    "channels",
    "hookimpl",
    "parameters",
    "plain_label",
    "score_range",
]
