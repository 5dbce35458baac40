"""The citation of the paper whose figures these are."""

from oodbench.contracts import Paper

PAPER = Paper(
    title="GAN-Based Anomaly Detection Tailored for Classifiers",
    authors="Králik et al.",
    venue="Mathematics 12(10)",
    year=2024,
    url="https://doi.org/10.3390/math12101439",
)
