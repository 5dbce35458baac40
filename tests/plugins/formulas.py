"""Fixed features of a small classifier, to compute detectors' formulas on in float64.

Features are rounded, so that some tie; many are negative, one is always 0, one always the same
number, and a class has two training images.
"""

import numpy as np
import torch
from torch import nn

from oodbench.contracts import Batch, Context
from oodbench.testing import TensorStream

CLASSES, WIDTH = 3, 10


def drawn(count, seed, spread):
    generator = np.random.default_rng(seed)
    means = 2 * np.random.default_rng(99).normal(size=(CLASSES, WIDTH))
    labels = np.arange(count) % 2
    labels[:2] = 2
    values = np.round(means[labels] + spread * generator.normal(size=(count, WIDTH)), 1)
    values[:, 0], values[:, 1] = 0, 0.1
    return values.astype(np.float32), labels


TRAIN, LABELS = drawn(120, seed=0, spread=1.0)
SCORED = np.concatenate([drawn(30, seed=1, spread=1.0)[0], drawn(30, seed=2, spread=4.0)[0]])


class Network(nn.Module):
    """A classifier whose images are features."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.head = nn.Linear(WIDTH, CLASSES).requires_grad_(False)
        self.head.weight.copy_(torch.randn(CLASSES, WIDTH, generator=generator))
        self.head.bias.copy_(torch.randn(CLASSES, generator=generator))

    def features(self, images):
        return images.flatten(1)

    def forward(self, images):
        return self.head(self.features(images))


NETWORK = Network()
WEIGHT, BIAS = (each.double().numpy() for each in NETWORK.head.parameters())


def batch_of(values, labels=None):
    """Return features (n, d) as a batch that holds images, features and logits."""
    features = torch.from_numpy(values)
    labels = torch.full((len(values),), -1) if labels is None else torch.from_numpy(labels)
    images = features[:, None, None]
    return Batch(labels, inputs=images, features=features, logits=NETWORK.head(features))


def scores_of(detector, scored=SCORED, train=TRAIN, labels=LABELS):
    """Return the scores (n,) of features after a fit in batches of 7.

    The validation images are the training images.
    """
    shape = (1, 1, WIDTH)
    batch = batch_of(train, labels)
    stream = TensorStream(batch, shape=shape, num_classes=CLASSES, batch_size=7)
    context = Context(
        torch.device("cpu"), 0, shape, CLASSES, _classifier=NETWORK, _validation=stream
    )
    with torch.no_grad():
        return detector.fit(stream, context).score(batch_of(scored)).numpy()


def logits_of(values):
    """Return the logits (n, k) of features (n, d)."""
    return values.astype(np.float64) @ WEIGHT.T + BIAS


def softmax(logits):
    """Return the probabilities (n, k) of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def unit(values):
    """Return the rows of an array at length 1, float64."""
    values = values.astype(np.float64)
    return values / np.linalg.norm(values, axis=1, keepdims=True)
