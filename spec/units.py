"""Units and limits that every room shares.

Addresses (gpa, hva, iova) and sizes are in bytes, gfn and npages in 4 KiB pages. Ranges are written
first..last, both ends included, because a half-open range cannot name the last byte of the space.
"""

U16_MAX = 2**16 - 1
U32_MAX = 2**32 - 1
U64 = 2**64
U64_MAX = 2**64 - 1

PAGE_SIZE = 4096  # bytes
PAGES_PER_WORD = 64  # dirty bitmaps are read and written in 64-bit words


def is_page_aligned(number: int) -> bool:
    """Whether a byte address or size is a multiple of the page size."""
    return number % PAGE_SIZE == 0


def page_of(address: int) -> int:
    """The page (gfn) that holds a byte address."""
    return address // PAGE_SIZE


def address_of(page: int) -> int:
    """The address of a page's first byte."""
    return page * PAGE_SIZE


def rounded_up(number: int, step: int) -> int:
    """The least multiple of `step` (a power of two) that is not below `number`."""
    return (number + step - 1) // step * step


def ranges_touch(first: int, last: int, other_first: int, other_last: int) -> bool:
    """Whether two ranges (both ends included) share at least one member."""
    return first <= other_last and other_first <= last
