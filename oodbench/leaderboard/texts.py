"""The leaderboard as Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields

from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.leaderboard.boards import Board, Costs, Figure, Standing, describe_parameters
from oodbench.leaderboard.published import Published, lines_of
from oodbench.leaderboard.standings import RANK, acceptance, columns, labels
from oodbench.measures.ranks import Friedman
from oodbench.report.acceptance import DOUBLE_DAGGER
from oodbench.report.footnotes import by_sentence
from oodbench.report.layout import Cell, Footnote, Report, Section, Table, clean, percent
from oodbench.report.markup import latex, markdown

RANKING = (
    "Rank: by the mean AUROC over the OOD sets; detectors share a rank unless a paired DeLong test "
    "over the images (with the variance over runs, where there are several; Holm's correction for "
    "all pairs of the table; 5 %) finds them worse than the first of that rank."
)
DEFINITIONS = (
    RANKING,
    "95 % interval: of the mean AUROC, over the choice of images and, where there are several, of "
    "runs; each for itself. Ranks follow from paired tests, so that intervals of different ranks "
    "may overlap. Figures in percent, as mean (sample standard deviation) over runs.",
    "FPR95: share of OOD images accepted where 95 % of the ID images are, mean over the sets. "
    "ID accepted: share of ID test images accepted at the threshold that keeps 95 % of the "
    "calibration images, the target being 95 %.",
    "Fit: seconds to fit, median over runs. Images/s: images scored in a second, apart from the "
    "forward pass that all detectors share, median over sets and runs. Memory: highest resident "
    "memory of the process while it fitted and scored, libraries included. They are those of the "
    "machine of each run.",
    "Parameters: numbers that the fitted detector keeps, apart from the classifier's. Passes: how "
    "often an image passes through the classifier to be scored, once for all detectors that use "
    "its outputs included. '-': not recorded.",
    "Runs are read from their folders; their AUROCs are computed anew from the scores. Packs are "
    "shown if every figure follows from the scores, and images and protocol are the benchmark's.",
)
CSV_COLUMNS = (
    *("benchmark", "id_dataset", "classifier", "classifier_parameters", "ood_dataset", "detector"),
    *("parameters", "plugin", "rank", "runs"),
    *("auroc_mean", "auroc_std", "auroc_low", "auroc_high"),
    *(each.name for each in fields(Costs)),
)
PUBLISHED = (
    "Published elsewhere, with other networks and trainings: not ranked. Where our benchmark has "
    "sets of the same names and the same measure, the next line has the difference, in percentage "
    "points"
)


def write_markdown(boards: Sequence[Board], published: Sequence[Published]) -> str:
    """Return the leaderboard as GitHub-flavoured Markdown."""
    return f"# Leaderboard\n\n{markdown(_report(boards, published))}"


def write_latex(boards: Sequence[Board], published: Sequence[Published]) -> str:
    """Return the leaderboard as LaTeX, which needs the package booktabs."""
    return latex(_report(boards, published))


def write_csv(boards: Sequence[Board]) -> str:
    """Return a line for each entry and OOD set, and one for the mean; fractions in full."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for board in boards:
        protocol = board.protocol
        for standing in board.standings:
            figures = {**standing.sets, **_named_groups(standing), "(mean)": standing.auroc}
            for title, figure in figures.items():
                values = (figure.mean, figure.std, figure.low, figure.high)
                values += astuple(standing.costs)
                writer.writerow(
                    [
                        *(board.name, protocol.id_dataset, protocol.classifier),
                        *(protocol.parameters, title, standing.entry.detector),
                        *(standing.entry.parameters, standing.entry.plugin),
                        *(standing.rank or "", standing.runs),
                        *("" if math.isnan(value) else repr(float(value)) for value in values),
                    ]
                )
    return output.getvalue()


def describe_test(board: Board) -> str:
    """Return Friedman's test in a sentence; empty if it was not done."""
    test = board.test
    if test is None or math.isnan(test.p_value):
        return ""
    largest = len(test.mean_ranks) - 1
    unreachable = f", and the largest possible difference is {largest}"
    return (
        f"Friedman's test over {len(board.sets)} OOD sets: chi-squared {test.statistic:.2f}, "
        f"p {format_p(test)}; mean ranks further apart than {test.critical_difference:.2f} differ "
        f"(Nemenyi, 5 %){unreachable if test.critical_difference > largest else ''}."
    )


def format_p(test: Friedman) -> str:
    """Return a p-value with two significant digits, or that it is very small."""
    return "< 0.0001" if test.p_value < 1e-4 else f"= {test.p_value:.2g}"


def headings(boards: Sequence[Board]) -> list[str]:
    """Return the names of benchmark, ID set and classifier, and the latter's accuracy.

    Boards that would be called the same are told apart by the classifier's parameters, and where
    these are equal too, so that images or settings differ, by a number.
    """
    found = [_heading(board, "") for board in boards]
    twice = {each for each in found if found.count(each) > 1}
    found = [
        _heading(board, describe_parameters(board.protocol.parameters)) if each in twice else each
        for board, each in zip(boards, found, strict=True)
    ]
    return [
        f"{each} ({found[:place].count(each) + 1})" if found.count(each) > 1 else each
        for place, each in enumerate(found)
    ]


def _heading(board: Board, parameters: str) -> str:
    id_dataset, classifier = board.protocol.id_dataset, board.protocol.classifier
    network = "no classifier" if classifier == NO_CLASSIFIER else classifier
    folded = "{" in id_dataset  # each fold has an ID set of its own
    text = f"{board.name}: {network if folded else f'{id_dataset}, {network}'}"
    if parameters:
        text += f" ({parameters})"
    accuracy = board.id_accuracy
    if not math.isnan(accuracy.mean):
        spread = "" if math.isnan(accuracy.std) else f" ({percent(accuracy.std)})"
        text += f", accuracy {percent(accuracy.mean)}{spread} %"
    return clean(text)


def describe_classifier(board: Board) -> str:
    """Return the classifier's name, size and parameters in a sentence."""
    parameters = describe_parameters(board.protocol.parameters)
    size = board.classifier_parameters
    parts = [f"{size:,} weights" if size is not None else "", parameters]
    told = "; ".join(filter(None, parts))
    return clean(f"Classifier {board.protocol.classifier}{f': {told}' if told else ''}.")


def _named_groups(standing: Standing) -> dict[str, Figure]:
    return {f"({name})": figure for name, figure in standing.groups.items()}


def _report(boards: Sequence[Board], published: Sequence[Published]) -> Report:
    titles = headings(boards)
    sections = [
        Section(title, tuple(_tables(board, published)))
        for title, board in zip(titles, boards, strict=True)
    ]
    notes = [Footnote(text) for text in DEFINITIONS]
    for title, board in zip(titles, boards, strict=True):
        sentence = f"{describe_classifier(board)} {describe_test(board)}"
        notes.append(Footnote(f"{title}: {sentence.strip()}"))
    for title, board in zip(titles, boards, strict=True):
        if off_target := acceptance(board):
            notes.append(Footnote(f"{title}: {off_target}", DOUBLE_DAGGER))
    notes += [Footnote(clean(text)) for text in _deviations(boards, titles)]
    notes += [Footnote(clean(text)) for text in citations(boards, published)]
    return Report(tuple(sections), tuple(notes))


def _deviations(boards: Sequence[Board], titles: Sequence[str]) -> list[str]:
    """Return how detectors deviate; what holds for some entries of one alone names these."""
    names = Counter(board.name for board in boards)
    entries = [
        (standing.entry, f"{label} on {board.name if names[board.name] == 1 else title}")
        for board, title in zip(boards, titles, strict=True)
        for label, standing in zip(labels(board), board.standings, strict=True)
    ]
    count = Counter(entry.detector for entry, _ in entries)
    said = by_sentence((str(place), entry.deviations) for place, (entry, _) in enumerate(entries))
    found = []
    for places, text in said:
        own: dict[str, list[str]] = {}
        for entry, name in (entries[int(place)] for place in places):
            own.setdefault(entry.detector, []).append(name)
        named = [
            [detector] if len(names) == count[detector] else names
            for detector, names in own.items()
        ]
        found.append(f"{', '.join(itertools.chain(*named))}: {text}")
    return found


def citations(boards: Sequence[Board], published: Sequence[Published]) -> list[str]:
    """Return the sources and caveats of the published figures that are shown."""
    shown = [each for board in boards for each in published if each.belongs_to(board)]
    return list(dict.fromkeys(f"{each.place}: {each.explanation}" for each in shown))


def _tables(board: Board, published: Sequence[Published]) -> Iterator[Table]:
    shown = columns(board)
    titles = [RANK.title, "Detector", *(column.title for column in shown)]
    rows = tuple(
        (RANK.cell(standing), Cell(name), *(column.cell(standing) for column in shown))
        for name, standing in zip(labels(board), board.standings, strict=True)
    )
    caption = "AUROC in %: mean over the OOD sets, and on each"
    yield Table(caption, tuple(map(Cell, titles)), (rows,), labels=2)
    own = lines_of(board, published)
    if own:
        header = ["Detector", "Source", "Measure", *board.columns]
        lines = tuple(
            tuple(Cell(clean(text)) for text in (line.detector, line.place, line.title))
            + tuple(map(Cell, line.figures))
            for line in own
        )
        yield Table(PUBLISHED, tuple(map(Cell, map(clean, header))), (lines,), labels=3)
