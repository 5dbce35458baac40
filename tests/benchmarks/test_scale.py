"""What the documentation says of a run on many GPUs is what the script computes."""

from __future__ import annotations

from pathlib import Path

from scale import Scale, compute, jobs_of, table

PAGE = Path(__file__).parents[2] / "docs" / "cost.md"


def test_the_page_shows_what_the_script_computes() -> None:
    rows = [compute(Scale(), gpus) for gpus in (8, 64, 512)]
    assert table(rows) in PAGE.read_text(encoding="utf-8")


def test_a_run_is_never_faster_than_its_longest_job_or_all_its_work() -> None:
    size = Scale(train=10_000, test=500, detectors=3, seeds=2)
    few, many = (compute(size, gpus) for gpus in (1, 50))
    longest = max(took for _, took in jobs_of(size))
    assert few["jobs, min"] > many["jobs, min"] > longest / 60
    assert many["GPUs busy"] < few["GPUs busy"] <= 1
