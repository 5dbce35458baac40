"""The reproduction page holds the paper's figures beside those of a run."""

import json

import pandas as pd
import pytest
from ganad_tables import page

PUBLISHED = pd.DataFrame(
    [
        (5, "MNIST", "ganad", "MNIST", "Accuracy (0.95)", 95.67, 0.24),
        (5, "MNIST", "ganad", "Omniglot", "AUROC", 98.84, 0.46),
        (5, "MNIST", "ganad", "Omniglot", "FPR95TPR", 5.42, 2.55),
        (5, "MNIST", "ganad", "SVHN-bw", "AUROC", 92.33, 7.62),
        (5, "MNIST", "ganad", "Fakes (norm 0-5)", "AUROC", 48.48, 1.26),
        (6, "CIFAR-10", "ganad", "SVHN", "AUROC", 15.70, 2.59),
    ],
    columns=["table", "id_dataset", "measured_by", "ood_dataset", "measure", "percent", "std"],
)


def write_run(folder, omniglot=(0.91, 0.93), generator=0):
    """Write what the page reads of a run of two seeds."""
    folder.mkdir(exist_ok=True)
    records = pd.DataFrame(
        [
            ("ganad", "", 0, None, None, 0.95, 0.99),
            ("ganad", "", 1, None, None, 0.96, 0.99),
            ("ganad", "Omniglot", 0, omniglot[0], 0.25, 0.5, 0.4),
            ("ganad", "Omniglot", 1, omniglot[1], 0.15, 0.5, 0.4),
            ("ganad", "Fakes (norm 0-5)", 0, 0.5, 0.9, 0.1, 0.0),
            ("energy", "Omniglot", None, 0.99, 0.01, 0.9, 0.9),
        ],
        columns=["detector", "ood_dataset", "seed", "auroc", "fpr95", "acc95", "acc99"],
    )
    records["id_dataset"] = "MNIST"
    records.to_csv(folder / "records.csv", index=False)
    info = {
        "benchmark": "mnist-ganad",
        "request": {
            "id": "mnist",
            "detectors": {
                "ganad": {"recipe": "paper", "steps": 400, "generator_seed": generator},
                "energy": {},
            },
            "classifier": {"preact-resnet": {"epochs": 8}},
            "seeds": [0, 1],
            "precision": "bfloat16",
            "validation_images": 10_000,
        },
        "hardware": {"cpus": 2},
        "deviations": {"ganad": "Fewer steps."},
        "notes": {"notMNIST": "Small."},
        "missing": {"SVHN-bw": "not there"},
        "shipped": {"fit ganad (seed 0)": {"finished": "2026-11-23T22:00:00Z"}},
    }
    (folder / "run.json").write_text(json.dumps(info))
    quality = {"images": 5000, "accuracy": 0.923, "distance": 3.14159, "floor": 0.2}
    (folder / "generator.json").write_text(json.dumps(quality))
    return folder


@pytest.fixture
def lines(tmp_path):
    """Return the page of a run of two seeds."""
    return list(page([write_run(tmp_path)], PUBLISHED))


def row(lines, title):
    (found,) = [line for line in lines if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_paper_and_measured_stand_side_by_side_with_their_difference(lines):
    assert row(lines, "Omniglot")[1:7] == [
        "98.84 (0.46)",
        "92.00 (1.41)",
        "-6.84",
        "5.42 (2.55)",
        "20.00 (7.07)",
        "+14.58",
    ]


def test_the_row_of_the_id_set_has_what_is_accepted(lines):
    assert row(lines, "MNIST")[7:10] == ["95.67 (0.24)", "95.50 (0.71)", "-0.17"]


def test_sets_are_matched_by_the_papers_names(lines):
    assert row(lines, "Fakes (norm 0-5)")[1:4] == ["48.48 (1.26)", "50.00", "+1.52"]


def test_what_was_not_measured_is_missing(lines):
    assert row(lines, "SVHN-bw")[1:4] == ["92.33 (7.62)", "-", "-"]


def test_only_tables_that_were_run_are_shown(lines):
    assert [line.strip() for line in lines if line.startswith("### ")] == ["### Table 5: `ganad`"]


def test_machine_deviations_and_origin_are_said(lines):
    text = "\n".join(lines)
    assert "Machine: cpus 2; precision bfloat16." in text
    assert "* `ganad`: Fewer steps." in text
    assert "* fit ganad (seed 0): shipped weights, trained 2026-11-23" in text
    assert "* SVHN-bw is missing: not there" in text


def test_length_of_the_training_is_said_in_epochs_of_the_paper(lines):
    told = (
        "* `ganad`: recipe=paper, steps=400, generator_seed=0 (400 generator steps: 2.4 epochs of"
    )
    assert told in "\n".join(lines)
    assert "* classifier `preact-resnet`: epochs=8" in lines


def test_means_are_over_the_papers_sets_that_were_measured(lines):
    assert "Mean AUROC over Omniglot:\n" in lines
    assert row(lines, "`ganad`")[1:] == ["98.84", "92.00 (1.41)"]
    assert row(lines, "`energy`")[1:] == ["-", "99.00"]


def test_the_quality_of_the_generator_is_said(lines):
    (found,) = [line for line in lines if line.startswith("* the generator's images")]
    assert "of 5,000 fakes 92.3% are classified" in found
    assert "3.14 (between the halves of the ID test images 0.20)" in found


def test_runs_with_other_generators_show_the_spread_between_and_within_them(tmp_path):
    runs = [
        write_run(tmp_path / "a", (0.90, 0.92), generator=0),
        write_run(tmp_path / "b", (0.94, 0.98), generator=1),
        write_run(tmp_path / "c", (0.10, 0.10), generator=1),  # the same again does not count
    ]
    lines = list(page(runs, PUBLISHED))
    start = lines.index("### Table 5: `ganad` over 2 generators\n")
    assert row(lines[start:], "Omniglot")[1:] == ["98.84 (0.46)", "93.50", "3.54", "2.12"]


def test_a_set_that_a_run_lacks_has_no_spread_over_generators(tmp_path):
    runs = [write_run(tmp_path / str(seed), generator=seed) for seed in (0, 1)]
    records = pd.read_csv(runs[1] / "records.csv")
    records[records["ood_dataset"] != "Omniglot"].to_csv(runs[1] / "records.csv", index=False)
    lines = list(page(runs, PUBLISHED))
    start = lines.index("### Table 5: `ganad` over 2 generators\n")
    assert not any("Omniglot" in line for line in lines[start:])


def test_one_generator_has_no_spread(lines):
    assert not any("generators" in line for line in lines)
