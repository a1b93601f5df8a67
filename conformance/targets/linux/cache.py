"""Where things that were downloaded or built are kept: outside the checkout, in the XDG cache directory."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory(*parts: str) -> Path:
    """A directory below `$XDG_CACHE_HOME/gpaspec` (`~/.cache/gpaspec` by default), made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    directory = root.joinpath("gpaspec", *parts)
    directory.mkdir(parents=True, exist_ok=True)
    return directory
