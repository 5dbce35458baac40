"""Compositions: a detector that scores what shapings have changed, as in ``react+knn``."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    Need,
    Shaping,
    State,
    Stream,
    Trainable,
    parameters,
)
from oodbench.errors import UserError
from oodbench.identity.keys import Identified, identify, plugin_key

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PLUS = "+"
"""Joins the names of the detectors of a composition."""

SHAPED = frozenset({Need.FEATURES, Need.LOGITS, Need.CLASSIFIER})
"""What is different for a detector that scores after a shaping."""


class Composition(Detector, Identified):
    """A detector that scores what shapings have changed; `compose` makes a subclass for each.

    Its parameters are those of its members, after the member's name: ``react_percentile``. Each
    shaping is fitted on the features of the classifier, as the authors of DICE do after ReAct; a
    detector that is none, on shaped ones.

    Attributes:
        members: the classes of the shapings, in the order in which they apply, and of the score.
    """

    members: ClassVar[tuple[type[Detector], ...]]

    def made(self) -> list[Detector]:
        """Return new members with their parameters."""
        given = parameters(self)
        return [
            cls(**{name: given[_own(cls, name)] for name in _parameters_of(cls)})
            for cls in self.members
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (self.members, dict(vars(self)))

    def identity(self) -> Any:
        """Return the identity of the composition and of its members."""
        return {**plugin_key(self), "members": [identify(member) for member in self.made()]}

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit shapings on the features, and another detector on what these make of them."""
        *shapings, score = self.made()
        for shaping in shapings:
            shaping.fit(train, context)
        changed = self._take(shapings, score, context)
        if not isinstance(score, Shaping):
            read = score.needs_to_fit()
            train = _ShapedStream(train, functools.partial(self._change, needs=read))
            if Need.VALIDATION in read:
                change = functools.partial(self._change, needs=read | score.needs)
                held_out = _ShapedStream(context.validation, change)
                changed = replace(changed, _validation=held_out)
        score.fit(train, changed)
        return self

    def least_images(self) -> int:
        """Return how many training images the members need."""
        return max(member.least_images() for member in self.made())

    def _take(self, shapings: Sequence[Any], score: Detector, context: Context) -> Context:
        """Take fitted members; return the context with the shaped classifier for the score."""
        from oodbench.registry.shaped import ShapedClassifier

        self.fitted_ = (*shapings, score)
        self.classifier_ = ShapedClassifier(context.classifier, shapings)
        return replace(context, _classifier=self.classifier_)

    def remarks(self) -> list[str]:
        """Return the remarks of the members."""
        return [text for member in self.fitted_ for text in member.remarks()]

    def state(self) -> State:
        """Return what the members learned, by their names."""
        return {
            f"{member.info.name}.{name}": value
            for member in self.fitted_
            for name, value in member.state().items()
        }

    def restore(self, state: State, context: Context) -> Self:
        """Restore the members."""
        *shapings, score = self.made()
        for shaping in shapings:
            shaping.restore(_part(state, shaping), context)
        score.restore(_part(state, score), self._take(shapings, score, context))
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the score of what the shapings make of a batch: (n,) float."""
        score: Detector = self.fitted_[-1]
        return score.score(self._change(batch, score.needs))

    def _change(self, batch: Batch, needs: frozenset[Need]) -> Batch:
        """Return a batch with shaped features and their logits, just those that are needed."""
        features = logits = None
        if needs & {Need.FEATURES, Need.LOGITS}:
            features = self.classifier_.shape(batch.features)
        if Need.LOGITS in needs:
            logits = self.classifier_.head(features)
        return Batch(
            batch.labels,
            inputs=batch.inputs if Need.INPUTS in needs else None,
            logits=logits,
            features=features if Need.FEATURES in needs else None,
        )


class _ShapedStream(Stream):
    """A stream whose batches are changed.

    Args:
        stream: the images.
        change: returns what is made of a batch.
    """

    def __init__(self, stream: Stream, change: Callable[[Batch], Batch]) -> None:
        self.shape = stream.shape
        self.num_classes = stream.num_classes
        self._stream = stream
        self._change = change

    def __len__(self) -> int:
        return len(self._stream)

    def __iter__(self) -> Iterator[Batch]:
        return map(self._change, self._stream)

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield one epoch of full batches in random order."""
        return map(self._change, self._stream.shuffled(batch_size, generator))


def parts_of(name: str) -> list[str]:
    """Return the names of the members of a composition; of another detector its own."""
    return name.split(PLUS)


def compose(members: Sequence[type[Detector]], known: Sequence[str] = ()) -> type[Composition]:
    """Return the class of a composition, the same one for the same members.

    Args:
        members: shapings, in the order in which they apply, and a detector that scores.
        known: the names of all shapings, for messages.

    Raises:
        UserError: if they cannot be composed.
    """
    *shapings, score = members
    name = PLUS.join(member.info.name for member in members)
    for member in shapings:
        own = member.info.name
        if not issubclass(member, Shaping):
            raise UserError(
                f"'{name}': '{own}' does not change features, so that nothing can follow it; "
                f"detectors that do: {', '.join(known)}"
            )
        if members.count(member) > 1:
            raise UserError(f"'{name}' names '{own}' twice")
        if not member.shapes_features() and not _reads(score) & {Need.LOGITS, Need.CLASSIFIER}:
            raise UserError(
                f"'{name}': '{own}' changes logits alone, and '{score.info.name}' reads features "
                "alone"
            )
    if (
        not _reads(score) & SHAPED
        or not _reads(score) <= {*SHAPED, Need.INPUTS, Need.VALIDATION}
        or score.parts is not Trainable.parts
        or score.ensemble
    ):
        raise UserError(
            f"'{name}': '{score.info.name}' does not score features or logits, so that nothing "
            "can be changed before it"
        )
    return _compose(tuple(members))


def parameters_for(cls: type[Detector], given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of a detector among those of all, by name.

    A composition takes those of its members, and before these its own.
    """
    own = dict(given.get(cls.info.name, {}))
    if not issubclass(cls, Composition):
        return own
    of_members = {
        _own(member, name): value
        for member in cls.members
        for name, value in given.get(member.info.name, {}).items()
    }
    return of_members | own


def _reads(score: type[Detector]) -> frozenset[Need]:
    return score.needs | score.needs_to_fit()


@functools.cache
def _compose(members: tuple[type[Detector], ...]) -> type[Composition]:
    *shapings, score = members
    taken = {
        _own(cls, name): parameter.replace(name=_own(cls, name))
        for cls in members
        for name, parameter in _parameters_of(cls).items()
    }

    def construct(self: Composition, **given: Any) -> None:
        bound = signature.bind(**given)
        bound.apply_defaults()
        vars(self).update(bound.kwargs)
        self.made()  # refuses values that a member refuses

    signature = inspect.Signature(list(taken.values()))
    construct.__annotations__ = {
        _own(cls, name): annotation for cls in members for name, annotation in _annotations_of(cls)
    }
    return type(
        f"Composition({PLUS.join(cls.info.name for cls in members)})",
        (Composition,),
        {
            "__init__": construct,
            "__signature__": signature,
            "__module__": __name__,
            "members": members,
            "info": _describe(members),
            "needs": _needs(score.needs),
            "fit_needs": _needs(score.needs_to_fit()).union(
                *(shaping.needs_to_fit() for shaping in shapings)
            ),
            "stochastic": any(cls.stochastic for cls in members),
            "space": {
                _own(cls, name): values for cls in members for name, values in cls.space.items()
            },
            "family": score.family,
        },
    )


def _remake(members: tuple[type[Detector], ...], attributes: dict[str, Any]) -> Composition:
    """Return a composition that was pickled."""
    cls = _compose(members)
    made = cls.__new__(cls)
    vars(made).update(attributes)
    return made


def _needs(needs: frozenset[Need]) -> frozenset[Need]:
    """Return what a composition needs where its score needs ``needs``."""
    features = {Need.FEATURES} if needs & {Need.FEATURES, Need.LOGITS} else set()
    return needs - {Need.LOGITS} | features | {Need.CLASSIFIER}


def _parameters_of(cls: type[Detector]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def _annotations_of(cls: type[Detector]) -> list[tuple[str, Any]]:
    """Return the types of the parameters by name; none where one cannot be looked up."""
    try:
        found = typing.get_type_hints(cls.__init__)
    except NameError:
        return []
    return [(name, found[name]) for name in _parameters_of(cls) if name in found]


def _own(cls: type[Detector], parameter: str) -> str:
    """Return what a composition calls a parameter of one of its members."""
    return f"{cls.info.name.replace('-', '_')}_{parameter}"


def _part(state: State, member: Detector) -> State:
    """Return the state of a member."""
    prefix = f"{member.info.name}."
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def _describe(members: Sequence[type[Detector]]) -> Info:
    *shapings, score = [cls.info for cls in members]
    before = " and ".join(info.label for info in shapings)
    cited = [
        f"{info.label} ({info.paper.authors}, {info.paper.venue} {info.paper.year})"
        if info.paper
        else info.label
        for info in (*shapings, score)
    ]
    said = dict.fromkeys(text for info in (*shapings, score) for text in info.deviations)
    return Info(
        name=PLUS.join(cls.info.name for cls in members),
        title=" + ".join(cls.info.label for cls in members),
        summary=f"{score.label}, of features and logits as {before} changes them",
        deviations=(f"A composition of {', '.join(cited[:-1])} and {cited[-1]}.", *said),
    )
