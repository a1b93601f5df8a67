"""The machine's own apt sources: which Debian mirror it uses and which keys it trusts.

Both forms are read: one-line `.list` files and deb822 `.sources` files. Nothing is ever written there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT_DIRECTORY = Path("/etc/apt")


@dataclass(frozen=True)
class Source:
    """One mirror: its address, the suites that the machine takes from it, and the keyring that signs them ("" if
    apt's default keyrings do)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a deb822 file, as field (in lower case) to value."""
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0].isspace():
            fields[last] = f"{fields.get(last, '')} {line.strip()}"
        elif ":" in line:
            name, value = line.split(":", 1)
            last = name.strip().lower()
            fields[last] = value.strip()


def deb822_sources(text: str) -> Iterator[Source]:
    """The sources of a `.sources` file."""
    for stanza in stanzas(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() == "no":
            continue
        for uri in stanza.get("uris", "").split():
            yield Source(
                uri.rstrip("/"),
                tuple(stanza.get("suites", "").split()),
                tuple(stanza.get("components", "").split()),
                stanza.get("signed-by", ""),
            )


def one_line_sources(text: str) -> Iterator[Source]:
    """The sources of a `.list` file."""
    for written in text.splitlines():
        line = written.split("#", 1)[0].strip()
        if not line.startswith(("deb ", "deb\t")):
            continue
        rest = line[3:].strip()
        signed_by = ""
        if rest.startswith("["):
            options, _, rest = rest[1:].partition("]")
            for option in options.split():
                name, _, value = option.partition("=")
                if name == "signed-by":
                    signed_by = value
        words = rest.split()
        if len(words) >= 3:
            yield Source(words[0].rstrip("/"), (words[1],), tuple(words[2:]), signed_by)


def machine_sources(directory: Path = APT_DIRECTORY) -> list[Source]:
    """Every source that this machine's apt uses."""
    found: list[Source] = []
    for path in [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if path.suffix == ".sources":
            found.extend(deb822_sources(text))
        elif path.suffix == ".list":
            found.extend(one_line_sources(text))
    return found


def debian_mirror(found: list[Source]) -> Source | None:
    """The source with Debian's main archive, or None: not a Debian machine."""
    for source in found:
        if "main" in source.components and source.uri.endswith("/debian"):
            return source
    return None


def security_mirror(found: list[Source]) -> Source | None:
    """The source with Debian's security archive, or None."""
    for source in found:
        if "main" in source.components and any(suite.endswith("-security") for suite in source.suites):
            return source
    return None
