"""How a device marks pages in its dirty log: page by page, and from host addresses back to guest addresses.

Facts: drivers/vhost/vhost.c log_write, log_write_hva, log_used, vhost_log_write.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.vhost.iotlb import Map, Regions
from spec.outcome import Segment
from spec.pages import Pages, pages_in
from spec.units import PAGE_SIZE


class Marks:
    """The guest pages that are marked by one request."""

    def __init__(self) -> None:
        self.bits: set[int] = set()

    def set_bit(self, page: int) -> None:
        """Mark a guest page."""
        self.bits.add(page)

    def pages(self) -> Pages:
        """All that were marked."""
        return pages_in(tuple((page, page) for page in self.bits))


def log_write(marks: Marks, address: int, length: int) -> None:
    """Mark the pages of `length` guest bytes."""
    if length == 0:
        return
    page, left = address // PAGE_SIZE, length + address % PAGE_SIZE
    while left > 0:
        page, left = mark_page(marks, page, left)


def mark_page(marks: Marks, page: int, left: int) -> tuple[int, int]:
    """One round: mark a page. Returns the next, and how many bytes are left to mark from its start on."""
    marks.set_bit(page)
    return page + 1, left - PAGE_SIZE


def log_write_hva(marks: Marks, umem: Regions, hva: int, length: int) -> None:
    """Mark the pages of every region that maps one of `length` host bytes.

    Each round goes on by the shortest piece that it found. Kernels give up, with the rest unmarked, if the first round
    finds no region at all; here bytes that no region maps mark nothing and the rest is looked at.
    """
    while length > 0:
        shortest = length
        for region in umem.in_list():
            shortest = mark_region(marks, region, hva, length, shortest)
        length -= shortest
        hva += shortest


def mark_region(marks: Marks, region: Map, hva: int, length: int, shortest: int) -> int:
    """Mark the pages that a region has for `length` host bytes. Returns the shorter of its piece and `shortest`."""
    if region.host > hva - 1 + length or region.host - 1 + region.size < hva:
        return shortest
    start = max(region.host, hva)
    end = min(region.host - 1 + region.size, hva - 1 + length)
    piece = end - start + 1
    log_write(marks, region.first + start - region.host, piece)
    return min(piece, shortest)


def log_segments(marks: Marks, umem: Regions, segments: Sequence[Segment]) -> None:
    """Mark what a write to these host segments touches."""
    for segment in segments:
        log_write_hva(marks, umem, segment.host, segment.last - segment.first + 1)


def log_buffers(marks: Marks, buffers: Sequence[tuple[int, int]], length: int) -> None:
    """Mark the first `length` bytes of guest buffers, given as (address, bytes)."""
    for address, size in buffers:
        piece = min(size, length)
        log_write(marks, address, piece)
        length -= piece
        if length == 0:
            return
