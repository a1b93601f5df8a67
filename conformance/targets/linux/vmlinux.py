"""The kernel itself, out of the image that is booted: `vmlinuz` begins with code that unpacks it.

Facts: Documentation/arch/x86/boot.rst (payload_offset, payload_length).
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import lz4.block

from conformance.target import TargetUnavailable

SECTORS, MAGIC, PAYLOAD = 0x1F1, 0x202, 0x248  # where the boot header says these
ZSTD, XZ, GZIP, LZ4 = b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"\x1f\x8b", b"\x02\x21\x4c\x18"
LZ4_BLOCK = 8 << 20  # what a block of the legacy LZ4 format holds at most, unpacked


def vmlinux_of(image: Path) -> bytes:
    """The ELF file that is packed in a bzImage. Raises TargetUnavailable with one sentence."""
    data = image.read_bytes()
    if data[:4] == b"\x7fELF":
        return data
    if data[MAGIC : MAGIC + 4] != b"HdrS":
        raise TargetUnavailable(f"{image} is no kernel image for x86 (no boot header)")
    start = (data[SECTORS] + 1) * 512
    offset, length = struct.unpack_from("<II", data, PAYLOAD)
    packed = data[start + offset : start + offset + length]
    try:
        return unpacked_kernel(packed)
    except (
        lzma.LZMAError,
        lz4.block.LZ4BlockError,
        struct.error,
        OSError,
        EOFError,
        subprocess.SubprocessError,
    ) as broken:
        raise TargetUnavailable(f"the kernel in {image} cannot be unpacked: {broken}") from None


def unpacked_kernel(packed: bytes) -> bytes:
    """Unpack a kernel. What follows the packed bytes (its size) is left alone."""
    if packed.startswith(XZ):
        return lzma.LZMADecompressor().decompress(packed)
    if packed.startswith(GZIP):
        return gzip.decompress(packed[:-4])
    if packed.startswith(ZSTD):
        tool = shutil.which("zstd")
        if tool is None:
            raise TargetUnavailable("the kernel is packed with zstd: install zstd (apt-get install zstd)")
        # It says "unsupported format" about the four bytes that follow, after it has written all.
        done = subprocess.run([tool, "-dcq"], input=packed, capture_output=True, timeout=120, check=False)
        return done.stdout
    if packed.startswith(LZ4):
        return unpacked_lz4(packed[len(LZ4) : -4])
    raise TargetUnavailable(f"the kernel is packed in a way that is not known (it begins with {packed[:4].hex()})")


def unpacked_lz4(packed: bytes) -> bytes:
    """Unpack the legacy LZ4 format: blocks, each behind its size."""
    whole, at = bytearray(), 0
    while at + 4 <= len(packed):
        (size,) = struct.unpack_from("<I", packed, at)
        whole += lz4.block.decompress(packed[at + 4 : at + 4 + size], uncompressed_size=LZ4_BLOCK)
        at += 4 + size
    return bytes(whole)
