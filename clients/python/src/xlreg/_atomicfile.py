"""Replaces files so that a crash at any moment leaves the old content or the new, never a part of either."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def write(path: Path, data: bytes, mode: int) -> None:
    """Make data the content of a file; when it returns, the content is on disk.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_dir(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what a crash in the middle of write left beside a file.

    Nobody else may be writing to it meanwhile.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink()


def make_dirs(path: Path, mode: int) -> None:
    """Make a directory and those above it; when it returns, their names are on disk."""
    missing = [p for p in (path.absolute(), *path.absolute().parents) if not p.exists()]
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    for made in missing:
        _sync_dir(made.parent)


def _sync_dir(path: Path) -> None:
    """Put a new name on disk. Some file systems cannot do that for a directory, and say so."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as err:
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)
