"""Vector files: written canonically, read strictly.

    {"$schema": "./schema.json", "format": 1, "family": "KVM.SLOT", "spec": "0.1.0", "licence": "CC0-1.0", "vectors": [
    {one vector on each line}
    ]}

`SHA256SUMS` beside them has the checksum of each file. The published directory must have it, and where it is, it must
be right: a vector that got lost would otherwise look like one that passed. Files of one's own need none; they are
checked against the schema as well, which takes longer and says the same as the reader here, in the schema's words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema

from conformance.codec import (
    canonical,
    expected_from,
    outcome_json,
    request_from,
    request_json,
    switch_from,
    switch_json,
)
from conformance.fields import (
    FIELDS,
    FormatError,
    decode,
    decode_hex,
    decode_int,
    decode_list,
    decode_object,
    decode_text,
    encode,
)
from conformance.rules import RULES
from conformance.schema import schema
from conformance.vector import Step, Vector
from spec.step import operation_of
from spec.units import U64_MAX

FORMAT = 1
LICENCE = "CC0-1.0"
DIRECTORY = Path(__file__).parent / "vectors"
CHECKSUMS = "SHA256SUMS"
ID_DIGITS = 12
GENERATE = (
    "`gpaspec generate` writes the published files anew. "
    f"Vectors of your own belong in a directory without {CHECKSUMS} (--vectors)"
)


class VectorFileError(Exception):
    """A vector file that cannot be used: which file, where in it, and what is wrong."""

    def __init__(self, path: Path, where: str, what: str) -> None:
        super().__init__(f"{path}: {where}: {what}" if where else f"{path}: {what}")
        self.path = path
        self.where = where
        self.what = what

    def advice(self) -> str:
        """What to do about a file that cannot be used; "" where the sentence says so already, or there is no file."""
        if "`gpaspec generate`" in self.what or not self.path.is_file():
            return ""
        if self.path.parent.resolve() == DIRECTORY.resolve():
            return f"; {GENERATE}"
        return "; docs/vectors.md says what is in a vector file"


@cache
def spec_version() -> str:
    """The version of the specification that vectors are generated from: that of the program."""
    return version("gpaspec")


# Writing ---------------------------------------------------------------------------------------------------------


def content_id(vector: Vector) -> str:
    """The id of a vector: a hash of what is asked, what is expected and what that depends on."""
    content = {
        "switches": {name: switch_json(name, value) for name, value in vector.switches},
        "steps": [step_json(step) for step in vector.steps],
    }
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:ID_DIGITS]


def with_content_id(vector: Vector) -> Vector:
    return dataclasses.replace(vector, id=content_id(vector))


def step_json(step: Step) -> dict[str, Any]:
    return {**request_json(step.request), "expect": outcome_json(step.expected)}


def repair_json(vector: Vector) -> dict[str, Any]:
    """How the rejected step becomes acceptable: a field with another value, or an earlier step left out."""
    repair = dict(vector.repair)
    step = repair.pop("step")
    if "without" in repair:
        return {"step": step, "without": repair["without"]}
    ((name, value),) = repair.items()
    return {"step": step, "field": name, "value": encode(kind_of(vector.steps[step].request, name), value)}


def kind_of(request: Any, name: str) -> str:
    return next(field.kind for field in FIELDS[operation_of(request).name] if field.name == name)


def vector_json(vector: Vector) -> dict[str, Any]:
    operations = list(dict.fromkeys(operation_of(step.request).name for step in vector.steps))
    document: dict[str, Any] = {
        "id": vector.id,
        "title": vector.title,
        "rules": list(vector.rules),
        "requires": {
            "operations": operations,
            "switches": {name: switch_json(name, value) for name, value in vector.switches},
        },
        "because": vector.because,
        "generator": vector.generator,
        "seed": hex(vector.seed),
    }
    if vector.repair:
        document["repair"] = repair_json(vector)
    document["steps"] = [step_json(step) for step in vector.steps]
    return document


def file_text(family: str, vectors: Iterable[Vector]) -> str:
    """The text of a vector file."""
    head = {
        "$schema": "./schema.json",
        "format": FORMAT,
        "family": family,
        "spec": spec_version(),
        "licence": LICENCE,
    }
    lines = [canonical(vector_json(vector)) for vector in vectors]
    return canonical(head)[:-1] + ',"vectors":[\n' + ",\n".join(lines) + "\n]}\n"


def schema_text() -> str:
    return json.dumps(schema(), indent=1) + "\n"


def checksums_text(texts: Mapping[str, str]) -> str:
    """`sha256sum -c` understands it."""
    return "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(texts.items()))


# Reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VectorFile:
    """One file: its family, the version of the spec it was made from, and its vectors."""

    path: Path
    family: str
    spec: str
    vectors: tuple[Vector, ...]


def load_file(path: Path) -> VectorFile:
    """Read one vector file. Raises VectorFileError that says where and what."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise VectorFileError(path, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VectorFileError(path, f"byte {error.start}", "is not UTF-8 text") from error
    try:
        document = json.loads(text)
    except RecursionError:
        raise VectorFileError(path, "", "is nested too deeply to be a vector file") from None
    except json.JSONDecodeError as error:
        cut = "; the file ends too early: was it cut short?" if error.pos >= len(text.rstrip()) else ""
        raise VectorFileError(
            path, f"line {error.lineno} column {error.colno}", f"no JSON: {error.msg}{cut}"
        ) from error
    except ValueError as error:  # an integer of thousands of digits
        raise VectorFileError(path, "", f"no JSON that can be read: {error}") from error
    try:
        loaded = file_from(path, document)
    except FormatError as error:
        raise VectorFileError(path, error.where, error.what) from error
    if listed_checksum(path) != hashlib.sha256(content).hexdigest():
        check_with_schema(path, document)
    return loaded


def load_directory(directory: Path = DIRECTORY) -> list[VectorFile]:
    """Read all vector files of a directory, in order of name. Ids are unique over all of them."""
    paths = sorted(path for path in directory.glob("*.json") if path.name != "schema.json")
    if not paths:
        raise VectorFileError(directory, "", why_there_are_none(directory))
    listing = directory / CHECKSUMS
    if listing.exists():
        checksums(listing)  # can it be read? If not, each file would be compared with the schema first, for minutes
    files = [load_file(path) for path in paths]
    seen: dict[str, Path] = {}
    for file in files:
        for index, vector in enumerate(file.vectors):
            if vector.id in seen:
                raise VectorFileError(file.path, f"$.vectors[{index}].id", f"{vector.id} is also in {seen[vector.id]}")
            seen[vector.id] = file.path
    check_list(directory)
    return files


def why_there_are_none(directory: Path) -> str:
    """Why no vector files are found in what should be a directory of them."""
    if directory.is_dir():
        return "there are no vector files (*.json) here; `gpaspec generate --vectors DIRECTORY` writes them"
    if directory.exists():
        return f"is no directory: the vector files of a directory are read together; this one is in {directory.parent}"
    return "there is no such directory"


def check_list(directory: Path) -> None:
    """Raises VectorFileError unless the files are exactly those that SHA256SUMS beside them lists, if it is there."""
    listing = directory / CHECKSUMS
    if not listing.exists():
        if directory.resolve() == DIRECTORY.resolve():
            raise VectorFileError(listing, "", f"is missing: {GENERATE}")
        return
    there = {path.name for path in directory.glob("*.json")}
    listed = checksums(listing)
    for name in sorted(listed.keys() - there):
        raise VectorFileError(directory / name, "", f"is missing, but is listed in {CHECKSUMS}: {GENERATE}")
    for name in sorted(there - listed.keys()):
        raise VectorFileError(directory / name, "", f"is not listed in {CHECKSUMS}: {GENERATE}")
    for name, digest in sorted(listed.items()):
        try:
            content = (directory / name).read_bytes()
        except OSError as error:
            raise VectorFileError(directory / name, "", f"cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise VectorFileError(directory / name, "", f"is not the file that {CHECKSUMS} lists: {GENERATE}")


def checksums(listing: Path) -> dict[str, str]:
    """The names in a SHA256SUMS, with what it says of each."""
    found: dict[str, str] = {}
    try:
        lines = listing.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VectorFileError(listing, "", f"cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 2 or words[1] in found or "/" in words[1]:
            raise VectorFileError(listing, f"line {number}", "is not a checksum and the name of a file here, each once")
        found[words[1]] = words[0]
    return found


def load_vectors(directory: Path = DIRECTORY) -> list[Vector]:
    """All vectors of a directory."""
    return [vector for file in load_directory(directory) for vector in file.vectors]


def listed_checksum(path: Path) -> str:
    """What SHA256SUMS beside a file says of it, or nothing."""
    try:
        lines = (path.parent / CHECKSUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line.split()[0] for line in lines if line.split()[1:] == [path.name]), "")


def check_with_schema(path: Path, document: Any) -> None:
    """Raises VectorFileError for the first thing that the published schema does not allow."""
    for error in jsonschema.Draft202012Validator(schema()).iter_errors(document):
        raise VectorFileError(path, error.json_path, f"the schema does not allow this: {error.message[:300]}")


def file_from(path: Path, document: Any) -> VectorFile:
    decode_object("$", document, ("format",), ("$schema", "family", "spec", "licence", "vectors"))
    if document["format"] != FORMAT:
        raise FormatError("$.format", f"this is format {document['format']!r}; this program reads format {FORMAT}")
    decode_object("$", document, ("$schema", "format", "family", "spec", "licence", "vectors"))
    family = decode_text("$.family", document["family"])
    made_from = decode_text("$.spec", document["spec"])
    if made_from != spec_version():
        raise FormatError(
            "$.spec",
            f"these vectors are of specification {made_from}, this program has {spec_version()}: "
            "`gpaspec generate` writes them for this one",
        )
    items = decode_list("$.vectors", document["vectors"])
    vectors = []
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        vector = vector_from(item, family, f"$.vectors[{index}]")
        if vector.id in seen:
            raise FormatError(f"$.vectors[{index}].id", f"{vector.id} is also $.vectors[{seen[vector.id]}]")
        seen[vector.id] = index
        vectors.append(vector)
    return VectorFile(path, family, made_from, tuple(vectors))


def vector_from(document: Any, family: str, where: str) -> Vector:
    """A vector from JSON. Its id must be the hash of its content."""
    needed = ("id", "title", "rules", "requires", "because", "generator", "seed", "steps")
    decode_object(where, document, needed, ("repair",))
    steps = tuple(
        step_from(item, f"{where}.steps[{index}]")
        for index, item in enumerate(decode_list(f"{where}.steps", document["steps"]))
    )
    if not steps:
        raise FormatError(f"{where}.steps", "a vector has at least one step")
    rules = decode_list(f"{where}.rules", document["rules"])
    for index, rule in enumerate(rules):
        if rule not in RULES:
            raise FormatError(f"{where}.rules[{index}]", f"there is no rule {rule!r}")
    requires = decode_object(f"{where}.requires", document["requires"], ("operations", "switches"))
    operations = list(dict.fromkeys(operation_of(step.request).name for step in steps))
    if requires["operations"] != operations:
        raise FormatError(f"{where}.requires.operations", f"the steps need {operations}")
    switches = requires["switches"]
    if not isinstance(switches, dict):
        raise FormatError(f"{where}.requires.switches", "expected an object")
    vector = Vector(
        id=decode_text(f"{where}.id", document["id"]),
        title=decode_text(f"{where}.title", document["title"]),
        family=family,
        rules=tuple(rules),
        switches=tuple(
            (name, switch_from(name, value, f"{where}.requires.switches.{name}")) for name, value in switches.items()
        ),
        steps=steps,
        because=decode_text(f"{where}.because", document["because"]),
        generator=decode_text(f"{where}.generator", document["generator"]),
        seed=decode_hex(f"{where}.seed", document["seed"], U64_MAX),
        repair=repair_from(document["repair"], steps, f"{where}.repair") if "repair" in document else (),
    )
    if vector.id != content_id(vector):
        raise FormatError(
            f"{where}.id",
            f"{vector.id} is not the hash of this vector's content ({content_id(vector)}): "
            "was it edited by hand, or damaged?",
        )
    return vector


def step_from(document: Any, where: str) -> Step:
    if not isinstance(document, dict):
        raise FormatError(where, f"expected an object, found {type(document).__name__}")
    fields = {name: value for name, value in document.items() if name != "expect"}
    request = request_from(fields, where)
    if "expect" not in document:
        raise FormatError(where, "the member 'expect' is missing")
    return Step(request, expected_from(document["expect"], f"{where}.expect"))


def repair_from(document: Any, steps: tuple[Step, ...], where: str) -> tuple[tuple[str, Any], ...]:
    decode_object(where, document, ("step",), ("field", "value", "without"))
    index = decode_int(f"{where}.step", document["step"], 0, len(steps) - 1)
    if "without" in document:
        decode_object(where, document, ("step", "without"))
        return (("step", index), ("without", decode_int(f"{where}.without", document["without"], 0, index - 1)))
    decode_object(where, document, ("step", "field", "value"))
    request = steps[index].request
    names = [field.name for field in FIELDS[operation_of(request).name]]
    if document["field"] not in names:
        raise FormatError(
            f"{where}.field", f"{document['field']!r} is no field of this step; it has {', '.join(names)}"
        )
    name = document["field"]
    return (("step", index), (name, decode(kind_of(request, name), f"{where}.value", document["value"])))
