"""The committed vector files, for tests of what is done with files: to generate them takes minutes.

That they are what would be generated is a test of its own (tests/conformance/test_vectors.py).
"""

from __future__ import annotations

from conformance.files import CHECKSUMS, DIRECTORY


def committed() -> dict[str, str]:
    """The text of each committed file, by name, as `conformance.generate.write.texts` has them."""
    found = {path.name: path.read_text() for path in sorted(DIRECTORY.glob("*.json"))}
    return {**found, CHECKSUMS: (DIRECTORY / CHECKSUMS).read_text()}
