"""Where things that were downloaded or built are kept: outside the checkout, in the XDG cache directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def cache_directory(*parts: str) -> Path:
    """A directory below `$XDG_CACHE_HOME/gpaspec` (`~/.cache/gpaspec` by default), made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    directory = root.joinpath("gpaspec", *parts)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextlib.contextmanager
def cache_lock(name: str) -> Iterator[None]:
    """Only one of all processes and threads that use this cache is in the block with this name at a time."""
    with (cache_directory("locks") / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed, whatever happens
        yield
