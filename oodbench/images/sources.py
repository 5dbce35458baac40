"""The images of a data set: where they are, their fingerprint, and their download."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from oodbench.contracts import Dataset, GeneratedDataset, ImageSet
from oodbench.errors import (
    DataUnavailable,
    InvalidData,
    OodbenchError,
    PluginError,
    UserError,
    describe,
    reason_of,
)
from oodbench.identity.keys import Identified, digest, plugin_key
from oodbench.images.geometry import check_images, read_pack
from oodbench.images.shares import Sample, Share
from oodbench.images.subsets import ClassSubset
from oodbench.images.userdata import UserImages
from oodbench.registry.isolation import isolated
from oodbench.store.artifacts import digest_file
from oodbench.store.leases import leased


@dataclass(frozen=True)
class Source(Identified):
    """One split of a data set, or one share of a split, found.

    Attributes:
        dataset: the data set, fitted to the ID geometry where it computes its images.
        split: name of the split.
        root: the data folder.
        pack: the pack that holds the images, or None if the data set reads them itself.
        fingerprint: digest of the bytes, parameters and code that determine the images.
        contents: digests of the files that hold these images and nothing else: a pack, or a user's
            pictures; empty for files that hold other splits too.
        files_digest: digest of all files that are read; empty if there are none.
        share: which of the images are meant; None for all.
        whole: of some classes of a data set, the split of all of them.
    """

    dataset: Dataset
    split: str
    root: Path
    pack: Path | None
    fingerprint: str
    contents: frozenset[str] = frozenset()
    files_digest: str = ""
    share: Share | Sample | None = None
    whole: Source | None = None

    def identity(self) -> dict[str, Any]:
        """Return the identity of the images."""
        found = {"fingerprint": self.fingerprint, "split": self.split}
        return found if self.share is None else found | {"share": asdict(self.share)}

    @property
    def part(self) -> str:
        """Return what to call the images: the split, or ``"validation"``."""
        return "validation" if self.share and self.share.is_validation else self.split

    def shared(self, validation_images: int, seed: int) -> tuple[Self, Self]:
        """Return the images to learn from, and validation images that are held out of them."""
        rest, held_out = (
            replace(self, share=Share(is_validation, validation_images, seed))
            for is_validation in (False, True)
        )
        return rest, held_out

    def positions(self, labels: np.ndarray) -> np.ndarray:
        """Return which images of the split are meant, (m,) int64, given all labels (n,)."""
        return np.arange(len(labels)) if self.share is None else self.share.positions(labels)

    def load(self) -> ImageSet:
        """Read all images of the split, whatever the share.

        Raises:
            InvalidData: if they are damaged; the message names the file.
        """
        if self.whole is not None:
            assert isinstance(self.dataset, ClassSubset)
            return self.dataset.among(self.whole.load())
        if self.pack is not None:
            return read_pack(self.pack)
        name = f"{self.dataset.info.name}-{self.split}"
        return check_images(self.dataset.load(self.root, self.split), name)

    @property
    def identities(self) -> frozenset[str]:
        """Return what another source shares if it has images in common."""
        return self.contents | self.held | {self.fingerprint}

    @property
    def held(self) -> frozenset[str]:
        """Return what tells the images of each class of each split of a data set from others."""
        own, whole = self.dataset, self.whole or self
        labels = own.classes.values() if isinstance(own, ClassSubset) else range(own.num_classes)
        return frozenset(f"{whole.fingerprint}[{label}]" for label in labels)

    def verify(self) -> None:
        """Raise an error if files changed since the fingerprint was computed.

        Call it after the last image was read: what was made of other bytes would be found under
        this fingerprint for ever.

        Raises:
            InvalidData: if a file was changed.
        """
        if self.files_digest and self.files_digest != self._digest_files():
            raise InvalidData(
                f"the images of '{self.dataset.info.name}' ({self.split}) were changed since the "
                "run began; run the same command again"
            )

    def _digest_files(self) -> str:
        if self.whole is not None:
            return self.whole._digest_files()
        if isinstance(self.dataset, UserImages):
            return _users_source(self.dataset, self.split, self.root).files_digest
        if self.pack is not None:
            return _pack_source(self.dataset, self.split, self.root, self.pack).files_digest
        return digest(_digests(_files(self.dataset, self.root, self.split) or []))

    def describe(self) -> str:
        """Return a description of a user's own images; empty for a registered data set."""
        if self.whole is not None:
            return self.whole.describe()
        found = self.dataset
        return found.describe(self.split) if isinstance(found, UserImages) else ""


def locate(dataset: Dataset, split: str, root: Path, *, download: bool = True) -> Source:
    """Find one split of a data set: as a pack, as its own files, or by download, in this order.

    Args:
        dataset: the data set.
        split: name of the split.
        root: the data folder.
        download: whether to fetch what is missing.

    Raises:
        UserError: if the data set has no such split.
        DataUnavailable: if the images are neither there nor to be had.
        InvalidData: if a pack is damaged.
        PluginError: if the data set cannot name its files.
    """
    if isinstance(dataset, ClassSubset):
        return _subset_source(dataset, locate(dataset.whole, split, root, download=download))
    name = dataset.info.name
    if split not in dataset.splits:
        raise UserError(
            f"data set '{name}' has no {split} split (it has: {', '.join(dataset.splits)})"
        )
    if isinstance(dataset, UserImages):  # a path already says where they are
        return _users_source(dataset, split, root)
    if isinstance(dataset, GeneratedDataset):
        return Source(dataset, split, root, None, digest({"plugin": plugin_key(dataset)}))
    pack = root / f"{name}-{split}.npz"
    if pack.is_file():
        _verify_pack(pack)
        return _pack_source(dataset, split, root, pack)
    files = _files(dataset, root, split)
    if files is None:
        if not download:
            raise DataUnavailable(
                f"data set '{name}' is not in {root} (neither {pack.name} nor its own files); "
                f"'oodbench data prepare {name}' fetches it"
            )
        _make_folder(root)
        files = _fetch(dataset, root, split)
    content = _digests(files)
    identity = plugin_key(dataset)
    if files:
        del identity["versions"]  # whatever library reads them, the files say the same
    fingerprint = digest({"plugin": identity, "split": split, "files": content})
    files_digest = digest(content) if files else ""
    return Source(dataset, split, root, None, fingerprint, files_digest=files_digest)


def _digests(files: Iterable[Path]) -> list[tuple[str, str, str]]:
    return [(path.parent.name, path.name, _digest_file(path)) for path in files]


def _pack_source(dataset: Dataset, split: str, root: Path, pack: Path) -> Source:
    sha256 = _digest_file(pack)
    fingerprint = digest({"pack": sha256})
    return Source(dataset, split, root, pack, fingerprint, frozenset({sha256}), fingerprint)


def _subset_source(dataset: ClassSubset, whole: Source) -> Source:
    """Return some classes of a split; it is their labels that count in the fingerprint."""
    fingerprint = digest({"whole": whole.fingerprint, "classes": [*dataset.classes.values()]})
    found = replace(whole, dataset=dataset, fingerprint=fingerprint, whole=whole)
    return replace(found, contents=found.held)


def _users_source(dataset: UserImages, split: str, root: Path) -> Source:
    """Find a user's images; what they are called, and where, does not count in the fingerprint."""
    images = [_digest_file(path) for path in dataset.files(root, split)]
    labels = dataset.labels(split).tolist()
    fingerprint = digest({"images": images, "labels": labels, "note": dataset.note(split)})
    return Source(dataset, split, root, None, fingerprint, frozenset(images), fingerprint)


def _digest_file(path: Path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read: {error.strerror}") from error


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the data folder {root} cannot be made: {error.strerror}") from error


def _fetch(dataset: Dataset, root: Path, split: str) -> list[Path]:
    """Download a split, unless another process does so meanwhile, and return its files."""
    name = dataset.info.name
    with leased(root, f".fetching-{name}"):
        files = _files(dataset, root, split)
        if files is None:
            _download(dataset, root, split)
            files = _files(dataset, root, split)
    if files is None:
        raise DataUnavailable(f"data set '{name}': its files are still missing after download")
    return files


def _download(dataset: Dataset, root: Path, split: str) -> None:
    try:
        with isolated():
            dataset.prepare(root, split)
    except OodbenchError:
        raise
    except Exception as error:  # a third-party download may raise anything
        reason = f"data set '{dataset.info.name}' cannot be fetched: {describe(error)}"
        raise DataUnavailable(reason) from error


def _files(dataset: Dataset, root: Path, split: str) -> list[Path] | None:
    try:
        with isolated():
            files = list(dataset.files(root, split))
    except OodbenchError:
        raise
    except Exception as error:  # a third-party method may raise anything
        name = dataset.info.name
        raise PluginError(f"data set '{name}' cannot name its files: {describe(error)}") from error
    return files if all(path.is_file() for path in files) else None


def _verify_pack(pack: Path) -> None:
    """Raise `InvalidData` if a pack is truncated or fails its own checksums."""
    try:
        with zipfile.ZipFile(pack) as archive:
            broken = archive.testzip()
    except Exception as error:  # the reader of ZIP raises anything on damaged files
        raise InvalidData(f"{pack}: truncated or not an .npz file: {reason_of(error)}") from error
    if broken is not None:
        raise InvalidData(f"{pack}: damaged: '{broken}' fails its checksum")
