"""The one answer besides "equal" and "differs"."""

from __future__ import annotations


class Cannot(Exception):
    """Nothing is said about the object code. The text is one sentence: what is in the way, or what is needed."""
