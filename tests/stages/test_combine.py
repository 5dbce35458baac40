"""The outputs of several classifiers, combined."""

from __future__ import annotations

import numpy as np
from stagework import Bench, Small, array


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def combine(bench: Bench, train, test, *, averaged: bool):
    trained = [bench.train(train, classifier=Small(epochs=epochs)) for epochs in (1, 5)]
    members = [bench.extract(test, each) for each in trained]
    inputs = {f"member:{number}": member for number, member in enumerate(members)}
    logits = [array(member, "logits") for member in members]
    return bench.run("combine", {"averaged": averaged}, **inputs), logits, members[0]


def test_logits_lie_side_by_side(bench: Bench, train, test) -> None:
    made, logits, first = combine(bench, train, test, averaged=False)
    np.testing.assert_array_equal(array(made, "logits"), np.hstack(logits))
    for name in ("positions", "labels", "indices"):
        np.testing.assert_array_equal(array(made, name), array(first, name))
    assert {name: made.meta[name] for name in ("count", "note")} == {
        name: first.meta[name] for name in ("count", "note")
    }


def test_probabilities_are_averaged(bench: Bench, train, test) -> None:
    made, logits, _ = combine(bench, train, test, averaged=True)
    expected = np.mean([softmax(each.astype(np.float64)) for each in logits], axis=0)
    np.testing.assert_allclose(np.exp(array(made, "logits")), expected, rtol=1e-5)
