"""Stores by what a user calls them: a folder, or the URL of an object storage."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from oodbench.store.artifacts import Store
from oodbench.store.paths import as_file_name, cache_folder, is_remote, store_folder


def open_store(chosen: str | Path | None) -> Store:
    """Return the store in a folder or at a URL; by default, that in a user cache folder.

    Raises:
        UserError: if it cannot be written to, or the URL is none of a store.
    """
    if is_remote(chosen):
        return open_remote(str(chosen))
    return Store(store_folder(chosen))


@functools.lru_cache(maxsize=8)
def open_remote(url: str) -> Store:
    """Return the store at a URL; a process finds out once whether it can be written to."""
    from oodbench.store.remote import RemoteStore

    name = f"{as_file_name(url)[:40]}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    return RemoteStore(url, cache_folder() / "remote" / name)
