"""Data sets are downloaded, verified and put in place; or it is said what would help."""

import functools
import gzip
import hashlib
import http.server
import threading
import urllib.request

import numpy as np
import pytest
import torchvision.datasets
from dataset_files import md5, pictures, png, write_archive, write_idx

from oodbench.contracts import DataUnavailable
from oodbench_datasets import oodbench_datasets
from oodbench_datasets.fetched import FetchedDataset
from oodbench_datasets.idx import EmnistLetters, FashionMnist, Kmnist, Mnist
from oodbench_datasets.pictures import NotMnist, Omniglot

FETCHED = [cls() for cls in oodbench_datasets() if issubclass(cls, FetchedDataset)]


def names(datasets):
    return [dataset.info.name for dataset in datasets]


@pytest.fixture
def no_network(monkeypatch):
    """Send all requests to a port of this machine where nobody listens."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
        monkeypatch.setenv(variable.upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it has read the variables before


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve a folder, without a line on stderr for every request."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Serve a folder on this machine; return the folder and its URL."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(urllib.request, "_opener", None)
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def published_omniglot(site, monkeypatch):
    """Publish an Omniglot of one image and tell torchvision where it is; return the image."""
    folder, url = site
    image = pictures(1, 105, 105)[0] // 128 * 255
    write_archive(folder / "images_evaluation.zip", {"images_evaluation/A/c/1.png": png(~image)})
    library = torchvision.datasets.Omniglot
    monkeypatch.setattr(library, "download_url_prefix", url)
    digest = md5(folder / "images_evaluation.zip")
    monkeypatch.setitem(library.zips_md5, "images_evaluation", digest)
    return image


@pytest.fixture
def published_mnist(site, monkeypatch):
    """Publish an MNIST of two images a split and tell torchvision where it is."""
    folder, url = site
    resources = []
    for split in ("train", "test"):
        for path, array in zip(
            Mnist().files(folder, split), (pictures(2, 28, 28), np.array([7, 2])), strict=True
        ):
            write_idx(path, array)
            archive = folder / f"{path.name}.gz"
            archive.write_bytes(gzip.compress(path.read_bytes()))
            resources.append((archive.name, md5(archive)))
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"{url}/"])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("dataset", FETCHED, ids=names(FETCHED))
def test_without_network_the_message_says_what_would_help(dataset, tmp_path):
    with pytest.raises(DataUnavailable) as caught:
        dataset.prepare(tmp_path, "test")
    message = str(caught.value)
    assert f"{dataset.info.name}-test.npz" in message
    assert all(path in message for path in dataset.paths("test"))
    assert f"'oodbench data prepare {dataset.info.name}'" in message
    assert str(tmp_path) in message
    assert "\n" not in message


@pytest.mark.usefixtures("no_network")
def test_failed_download_leaves_nothing_behind(tmp_path):
    with pytest.raises(DataUnavailable):
        Mnist().prepare(tmp_path, "test")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("dataset", FETCHED, ids=names(FETCHED))
def test_files_that_are_there_are_left_as_they_are(dataset, tmp_path):
    for path in dataset.files(tmp_path, "test"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whatever it is")
    dataset.prepare(tmp_path, "test")
    assert all(path.read_bytes() == b"whatever it is" for path in dataset.files(tmp_path, "test"))


def test_archive_is_downloaded_and_nothing_else_kept(published_omniglot, tmp_path):
    root = tmp_path / "new" / "data"
    Omniglot().prepare(root, "test")
    assert [path for path in root.rglob("*") if path.is_file()] == [root / Omniglot.archive]
    assert np.array_equal(Omniglot().load(root, "test").images, [published_omniglot])


@pytest.mark.usefixtures("published_mnist")
def test_both_splits_are_kept_when_they_come_together(tmp_path):
    Mnist().prepare(tmp_path / "data", "test")
    assert Mnist().load(tmp_path / "data", "train").labels.tolist() == [7, 2]


@pytest.mark.usefixtures("published_mnist")
def test_only_what_is_missing_is_put_in_place(tmp_path):
    present, missing = Mnist().files(tmp_path, "test")
    present.parent.mkdir(parents=True)
    present.write_bytes(b"the user's own")
    Mnist().prepare(tmp_path, "test")
    assert present.read_bytes() == b"the user's own"
    assert missing.is_file()


@pytest.mark.usefixtures("published_omniglot")
def test_wrong_checksum_is_refused(site, tmp_path):
    folder, _ = site
    (folder / "images_evaluation.zip").write_bytes(b"somebody else's")
    with pytest.raises(DataUnavailable, match="corrupted"):
        Omniglot().prepare(tmp_path / "data", "test")
    assert not (tmp_path / "data" / Omniglot.archive).exists()


def test_wrong_pixels_are_refused(site, tmp_path, monkeypatch):
    folder, url = site
    members = {"notMNIST_small/A/a.png": png(pictures(1, 28, 28)[0])}
    write_archive(folder / NotMnist.archive, members)
    monkeypatch.setattr(NotMnist, "published", lambda self: (f"{url}/{NotMnist.archive}", None))
    with pytest.raises(DataUnavailable, match="not notMNIST_small"):
        NotMnist().prepare(tmp_path / "data", "test")
    assert not (tmp_path / "data" / NotMnist.archive).exists()


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "data").write_bytes(b"a file where the folder should be")
    with pytest.raises(DataUnavailable, match=f"FileExistsError.*{tmp_path / 'data'}"):
        Mnist().prepare(tmp_path / "data", "test")


@pytest.mark.network
@pytest.mark.parametrize("dataset", FETCHED, ids=names(FETCHED))
def test_the_real_thing(dataset, tmp_path):
    for split in dataset.splits:
        dataset.prepare(tmp_path, split)
        loaded = dataset.load(tmp_path, split)
        assert len(np.unique(loaded.labels)) == max(dataset.num_classes, 1)


@pytest.mark.network
@pytest.mark.parametrize(
    ("dataset", "digest"),
    [
        (Mnist(), "2646ac647ad5339dbf082846283269ea"),
        (FashionMnist(), "8181f5470baa50b63fa0f6fddb340f0a"),
    ],
    ids=["mnist", "fashionmnist"],
)
def test_real_test_images_have_the_published_bytes(dataset, digest, tmp_path):
    dataset.prepare(tmp_path, "test")
    images_path, _ = dataset.files(tmp_path, "test")
    assert hashlib.md5(images_path.read_bytes()).hexdigest() == digest


@pytest.mark.network
@pytest.mark.parametrize(
    ("dataset", "count"),
    [(Kmnist(), 10_000), (EmnistLetters(), 20_800), (Omniglot(), 13_180), (NotMnist(), 18_724)],
    ids=["kmnist", "emnist-letters", "omniglot", "notmnist"],
)
def test_real_sets_have_the_published_size(dataset, count, tmp_path):
    dataset.prepare(tmp_path, "test")
    assert len(dataset.load(tmp_path, "test")) == count
