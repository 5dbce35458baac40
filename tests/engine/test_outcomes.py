"""A failed job fails what depends on it, and nothing else; what is in the store is not run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from oodbench.engine import Outcomes, find_pending
from oodbench.engine.worker import Outcome
from oodbench.errors import UserError
from oodbench.plan.jobs import Job, Plan, Ref, Resources
from oodbench.store.artifacts import Store


def job(name: str, *inputs: Job) -> Job:
    given = {each.title: each.ref for each in inputs}
    return Job(Ref("fit", name), name, {}, given, Resources(1, 0.0))


FIRST = job("first")
SECOND = job("second", FIRST)
THIRD = job("third", SECOND)
APART = job("apart")
PLAN = Plan(jobs={each.ref: each for each in (FIRST, SECOND, THIRD, APART)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def make(store: Store, *jobs: Job) -> None:
    for each in jobs:
        with store.create(*each.ref) as draft:
            (draft / "content").write_text("x")


def pending(store: Store, *targets: Job) -> tuple[list[Job], set[Ref]]:
    return find_pending(PLAN, store, [each.ref for each in targets])


def test_from_an_empty_store_all_that_targets_need_is_run_in_order(store) -> None:
    assert pending(store, THIRD) == ([FIRST, SECOND, THIRD], set())


def test_what_is_in_the_store_is_not_run_nor_what_leads_there(store) -> None:
    make(store, SECOND)
    assert pending(store, THIRD) == ([THIRD], {SECOND.ref})


def test_a_run_that_is_complete_needs_nothing(store) -> None:
    make(store, THIRD, APART)
    assert pending(store, APART, THIRD) == ([], {THIRD.ref, APART.ref})


def test_a_damaged_artifact_is_made_again_with_what_leads_there(store) -> None:
    make(store, SECOND, THIRD)
    (store.root / "fit" / "third" / "content").write_text("y")
    assert pending(store, THIRD) == ([THIRD], {SECOND.ref})
    (store.root / "fit" / "second" / "content").unlink()
    assert pending(store, THIRD) == ([FIRST, SECOND, THIRD], set())


def test_a_failure_is_blamed_for_all_that_depends_on_it() -> None:
    results = Outcomes()
    results.settle(FIRST, Outcome("ValueError: no", "Traceback"))
    assert results.blocked(SECOND)
    assert results.blocked(THIRD)
    assert not results.blocked(APART)
    assert results.blamed == {each.ref: FIRST.ref for each in (FIRST, SECOND, THIRD)}
    assert list(results.failed) == [FIRST.ref]


def test_an_optional_input_that_failed_blocks_nothing() -> None:
    results = Outcomes()
    results.settle(FIRST, Outcome("ValueError: no", "Traceback"))
    assert not results.blocked(dataclasses.replace(SECOND, optional=frozenset({"first"})))


def test_what_is_done_blocks_nothing() -> None:
    results = Outcomes()
    results.settle(FIRST, Outcome())
    assert results.done == {FIRST.ref}
    assert not results.blocked(SECOND)


def test_a_mistake_of_the_user_ends_the_run() -> None:
    with pytest.raises(UserError, match="one class"):
        Outcomes().settle(
            dataclasses.replace(FIRST, is_vital=True),
            Outcome("one class", "Traceback", is_users=True),
        )


def test_images_that_the_run_can_do_without_end_nothing() -> None:
    results = Outcomes()
    results.settle(FIRST, Outcome("a broken picture", "Traceback", is_users=True))
    assert results.blocked(SECOND)
