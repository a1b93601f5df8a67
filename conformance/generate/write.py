"""All vectors, as files; and whether the files that are there are the ones that would be written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from conformance.files import (
    CHECKSUMS,
    DIRECTORY,
    VectorFileError,
    checksums_text,
    file_text,
    load_file,
    schema_text,
)
from conformance.generate import boundary, by_rule, lifetime, precedence, sequences, witnesses
from conformance.generate.build import MAIN_PROFILES, SEED, VARIANTS, VHOST_PROFILES, Collection
from conformance.generate.vhost import boundary as vhost_boundary
from conformance.generate.vhost import by_rule as vhost_by_rule
from conformance.generate.vhost import dirty as vhost_dirty
from conformance.generate.vhost import iotlb as vhost_iotlb
from conformance.generate.vhost import libraries as vhost_libraries
from conformance.generate.vhost import lifetime as vhost_lifetime
from conformance.generate.vhost import many as vhost_many
from conformance.generate.vhost import precedence as vhost_precedence
from conformance.generate.vhost import runs as vhost_runs
from conformance.generate.vhost.readback import with_misses_read
from conformance.vector import Vector

SCHEMA = "schema.json"
# What depends on many switches is generated for all profiles; the rest once, for the default.
VHOST_GENERATORS = (
    vhost_by_rule.drafts,
    vhost_precedence.drafts,
    vhost_lifetime.drafts,
    vhost_iotlb.drafts,
    vhost_libraries.drafts,
    vhost_many.drafts,
)
VHOST_SWEEPS = (vhost_boundary.drafts, vhost_runs.drafts, vhost_dirty.drafts)


def all_vectors(seed: int = SEED) -> list[Vector]:
    """Every published vector, in the order of generation."""
    collection = Collection()
    profiles = (*MAIN_PROFILES, *VARIANTS)
    for drafts in (by_rule.drafts, precedence.drafts, lifetime.drafts, boundary.singles, boundary.pairs):
        collection.add_all(profiles, drafts)
    seen: set[sequences.Situation] = set()
    collection.add_all(MAIN_PROFILES, lambda profile: sequences.drafts(profile, seed, seen))
    collection.add_all(MAIN_PROFILES, witnesses.drafts)
    for drafts in VHOST_GENERATORS:
        collection.add_all(VHOST_PROFILES, with_misses_read(drafts))
    for drafts in VHOST_SWEEPS:
        collection.add_all(VHOST_PROFILES[:1], with_misses_read(drafts))
    return list(collection.vectors.values())


def file_name(vector: Vector) -> str:
    """The file that a vector belongs in: that of its family, and of its generator where that makes many."""
    family = vector.family.lower().replace(".", "-")
    return f"{family}.json" if vector.generator == "rule" else f"{family}-{vector.generator}.json"


@cache
def texts(seed: int = SEED) -> Mapping[str, str]:
    """The text of each file, by name."""
    by_file: dict[str, list[Vector]] = {}
    for vector in all_vectors(seed):
        by_file.setdefault(file_name(vector), []).append(vector)
    found: dict[str, str] = {name: file_text(vectors[0].family, vectors) for name, vectors in sorted(by_file.items())}
    found[SCHEMA] = schema_text()
    found[CHECKSUMS] = checksums_text(found)
    return found


def write(directory: Path = DIRECTORY, seed: int = SEED) -> list[str]:
    """Write what differs, and remove vector files that are no longer made. Returns the names of changed files.

    A file is replaced whole or not at all, so that a full disk leaves the old one.
    """
    wanted = texts(seed)
    directory.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in wanted.items():
        path = directory / name
        if path.exists() and path.read_text() == text:
            continue
        changed.append(name)
        scratch = path.with_suffix(".new")
        try:
            scratch.write_text(text)
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    for path in sorted(directory.glob("*.json")):
        if path.name not in wanted:
            path.unlink()
            changed.append(path.name)
    return changed


def differences(directory: Path = DIRECTORY, seed: int = SEED) -> list[str]:
    """What is there but would not be generated, and the other way round: one sentence each. Empty when all is well."""
    wanted = texts(seed)
    found = []
    for name, text in wanted.items():
        path = directory / name
        if not path.exists():
            found.append(f"{name}: is missing")
        elif path.read_text(errors="replace") != text:
            found.append(f"{name}: {what_differs(path, text)}")
    found += [
        f"{path.name}: is not generated any more"
        for path in sorted(directory.glob("*.json"))
        if path.name not in wanted
    ]
    return found


def what_differs(path: Path, text: str) -> str:
    """Which vectors of a file differ from the generated text."""
    if path.suffix != ".json" or path.name == SCHEMA:
        return "is not what would be generated"
    try:
        there = {vector.id for vector in load_file(path).vectors}
    except VectorFileError as error:
        return f"{error.where}: {error.what}"
    wanted = {line.split('"', 4)[3] for line in text.splitlines() if line.startswith('{"id"')}
    missing, extra = sorted(wanted - there), sorted(there - wanted)
    if not missing and not extra:
        return "the same vectors, described or written otherwise"
    parts = []
    if missing:
        parts.append(
            f"{len(missing)} vectors are missing ({', '.join(missing[:3])}{', …' if len(missing) > 3 else ''})"
        )
    if extra:
        parts.append(f"{len(extra)} are no longer generated ({', '.join(extra[:3])}{', …' if len(extra) > 3 else ''})")
    return ", ".join(parts)
