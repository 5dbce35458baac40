"""Photographs with the class numbers of ImageNet, for networks that were trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oodbench.contracts import ImageSet, Info
from oodbench_datasets.packs import read_pack
from oodbench_datasets.pictures import TinyImageNet

_CLASSES = """
1 25 30 32 50 61 69 71 75 76 79 99 105 107 109 113 114 115 122 123 128 145 146 149 151 187
207 208 235 267 281 283 285 286 291 294 301 308 309 311 313 314 315 319 323 325 329 338 341
345 347 349 353 354 365 367 372 386 387 398 400 406 411 414 421 424 425 427 430 435 436 437
438 440 445 447 448 457 458 462 463 466 467 470 471 474 480 485 488 492 496 500 508 509 511
517 525 526 532 542 543 557 562 565 567 568 570 573 576 604 605 612 614 619 621 625 627 635
645 652 655 675 677 678 682 683 687 704 707 716 720 731 733 734 735 737 739 744 747 758 760
761 765 768 774 779 781 786 801 806 808 811 815 817 821 826 837 839 842 845 849 850 853 862
866 873 874 877 879 887 888 890 899 900 909 910 917 923 924 928 929 932 935 938 945 947 950
951 954 957 962 963 964 967 970 972 973 975 978 988
"""

CLASSES = np.array(_CLASSES.split(), dtype=np.int64)
"""The numbers of TinyImageNet's 200 classes among ImageNet's 1,000, both by WordNet name."""


class TinyImageNet1k(TinyImageNet):
    """TinyImageNet's validation pictures as ID set of a network with ImageNet's 1,000 classes.

    Every second picture is for training, which here means fitting detectors: the network has its
    weights already. The others are for testing.
    """

    info = Info(
        name="tinyimagenet-1k",
        title="TinyImageNet-1k",
        summary="TinyImageNet's pictures with the class numbers of ImageNet, 64x64, colour.",
        paper=TinyImageNet.info.paper,
        deviations=(
            "Pictures of 64x64 pixels, which the network enlarges, of 200 of the 1,000 classes.",
        ),
    )
    num_classes = 1000
    splits = ("train", "test")

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the pack ``tinyimagenet-test.npz``, or else the published archive."""
        pack = self._pack(root)
        return [pack] if pack.is_file() else super().files(root, split)

    def load(self, root: Path, split: str) -> ImageSet:
        """Return every second picture.

        Raises:
            InvalidData: if the pack or the archive is damaged.
        """
        pack = self._pack(root)
        found = read_pack(pack, 3) if pack.is_file() else super().load(root, "test")
        half = slice(int(split == "test"), None, 2)
        return ImageSet(found.images[half], CLASSES[found.labels[half]], found.note)

    def _pack(self, root: Path) -> Path:
        return root / f"{TinyImageNet.info.name}-test.npz"
