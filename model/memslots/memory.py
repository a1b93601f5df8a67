"""The memory that a machine allocates: copies of slots, dirty bitmaps, page metadata.

Allocations are numbered, and any of them can be made to fail: that is how the models show that a failed change leaves
everything as it was.
"""

from __future__ import annotations

from spec.pages import Pages


class OutOfMemory(Exception):
    """An allocation failed because it was told to."""


class Memory:
    """Addresses, and the dirty bitmaps that live at some of them.

    `fail_at` is the number of the allocation that fails, counted from 1 at the time when it is set; None for never.
    """

    def __init__(self) -> None:
        self.bitmaps: dict[int, Pages] = {}
        self.fail_at: int | None = None
        self._last_address = 0

    def allocate(self) -> int:
        """The address of something new. Raises OutOfMemory when it is this allocation's turn to fail."""
        if self.fail_at is not None:
            self.fail_at -= 1
            if self.fail_at == 0:
                self.fail_at = None
                raise OutOfMemory
        self._last_address += 1
        return self._last_address

    def allocate_bitmap(self, pages: Pages) -> int:
        """The address of a new bitmap with these pages set."""
        address = self.allocate()
        self.bitmaps[address] = pages
        return address

    def free_bitmap(self, address: int) -> None:
        """Give a bitmap back. Raises KeyError for one that is not there: freed twice, or never allocated."""
        del self.bitmaps[address]
