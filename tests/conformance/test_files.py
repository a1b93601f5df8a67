"""Vector files: written canonically, and read with a clear error for everything that can be wrong with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance import files
from conformance.files import (
    CHECKSUMS,
    DIRECTORY,
    VectorFileError,
    check_with_schema,
    file_text,
    load_directory,
    load_file,
    load_vectors,
)
from conformance.schema import schema
from conformance.vector import NoSuchVectors, chosen

SAMPLE = DIRECTORY / "kvm-ring.json"


@pytest.fixture
def document() -> Any:
    return json.loads(SAMPLE.read_text())


def put(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "some.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def error_of(path: Path) -> VectorFileError:
    with pytest.raises(VectorFileError) as caught:
        load_file(path)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.slow
def test_a_file_is_written_as_it_was_read() -> None:
    for file in load_directory():
        assert file_text(file.family, file.vectors) == file.path.read_text()


def test_checksums_are_those_of_the_files() -> None:
    import hashlib

    lines = (DIRECTORY / CHECKSUMS).read_text().splitlines()
    listed = {line.split()[1]: line.split()[0] for line in lines}
    there = {path.name: path for path in DIRECTORY.glob("*.json")}
    assert set(listed) == set(there)
    for name, path in there.items():
        assert listed[name] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_the_schema_is_a_schema_and_allows_what_is_published() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for path in DIRECTORY.glob("kvm-[a-r]*.json"):
        check_with_schema(path, json.loads(path.read_text()))


def copied(tmp_path: Path) -> Path:
    """The published directory, to be spoiled."""
    shutil.copytree(DIRECTORY, tmp_path / "vectors")
    return tmp_path / "vectors"


def lose_a_file(directory: Path) -> None:
    (directory / "kvm-ring.json").unlink()


def lose_a_vector(directory: Path) -> None:
    path = directory / "kvm-ring.json"
    document = json.loads(path.read_text())
    document["vectors"].pop()
    path.write_text(json.dumps(document))


def lose_the_schema(directory: Path) -> None:
    (directory / "schema.json").unlink()


def add_a_file(directory: Path) -> None:
    for path in directory.glob("kvm-slot*"):
        path.unlink()
    (directory / "kvm-ring.json").rename(directory / "mine.json")
    lines = (directory / CHECKSUMS).read_text().splitlines()
    kept = [line for line in lines if "kvm-slot" not in line and "kvm-ring.json" not in line]
    (directory / CHECKSUMS).write_text("\n".join(kept) + "\n")


def spoil_the_list(directory: Path) -> None:
    (directory / CHECKSUMS).write_text("0123\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lose_a_file, "kvm-ring.json: is missing, but is listed in SHA256SUMS: `gpaspec generate`"),
        (lose_a_vector, "kvm-ring.json: is not the file that SHA256SUMS lists: `gpaspec generate`"),
        (lose_the_schema, "schema.json: is missing, but is listed"),
        (add_a_file, "mine.json: is not listed in SHA256SUMS: `gpaspec generate`"),
        (spoil_the_list, "SHA256SUMS: line 1: is not a checksum and the name"),
    ],
)
def test_nothing_is_lost_silently(tmp_path: Path, spoil: Callable[[Path], None], what: str) -> None:
    directory = copied(tmp_path)
    spoil(directory)
    with pytest.raises(VectorFileError) as caught:
        load_vectors(directory)
    assert what in str(caught.value)


def test_only_the_published_directory_needs_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kvm-ring.json").write_text(SAMPLE.read_text())
    assert load_vectors(tmp_path)
    monkeypatch.setattr(files, "DIRECTORY", tmp_path)
    with pytest.raises(VectorFileError, match="SHA256SUMS: is missing: `gpaspec generate`"):
        load_vectors(tmp_path)


def test_a_number_that_is_too_long(tmp_path: Path) -> None:
    assert "no JSON that can be read" in error_of(put(tmp_path, '{"format": ' + "1" * 5000 + "}")).what


@pytest.mark.slow
def test_families_and_ids_are_chosen_or_refused() -> None:
    vectors = load_vectors()
    ring = [v for v in vectors if v.family == "KVM.RING"]
    slot = next(v for v in vectors if v.family == "KVM.SLOT")
    assert chosen(vectors, (), ()) == vectors
    assert chosen(vectors, ("KVM.RING",), ()) == ring
    assert chosen(vectors, (), (slot.id, ring[0].id)) == [v for v in vectors if v.id in (slot.id, ring[0].id)]
    for families, ids, what in (
        (("KVM.RING", "KVM.SLOTT"), (), "there is no family 'KVM.SLOTT'; there are IOTLB.INVALIDATE"),
        ((), (slot.id, "nonsense"), "there is no vector 'nonsense'"),
        (("KVM.RING",), (slot.id,), "no vector is left to run"),
    ):
        with pytest.raises(NoSuchVectors, match=what):
            chosen(vectors, families, ids)


def test_a_file_without_checksum_is_checked_and_read(tmp_path: Path, document: Any) -> None:
    assert len(load_file(put(tmp_path, document)).vectors) == len(document["vectors"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in error_of(tmp_path / "none.json").what


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match=r"there are no vector files \(\*.json\) here; `gpaspec generate"):
        load_vectors(tmp_path)


def test_what_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(VectorFileError, match="there is no such directory"):
        load_vectors(tmp_path / "none")
    with pytest.raises(VectorFileError, match=f"is no directory: .* this one is in {tmp_path}"):
        load_vectors(put(tmp_path, "{"))


def test_what_to_do_about_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is one's own: what is in a vector file. Where it is published: write it anew."""
    error = error_of(put(tmp_path, "{"))
    assert error.advice() == "; docs/vectors.md says what is in a vector file"
    monkeypatch.setattr(files, "DIRECTORY", tmp_path)
    assert error.advice().startswith("; `gpaspec generate` writes the published files anew")
    assert VectorFileError(tmp_path / "kvm-ring.json", "", "is missing").advice() == ""


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_file(tmp_path: Path, keep: float) -> None:
    text = SAMPLE.read_text()
    error = error_of(put(tmp_path, text[: int(len(text) * keep)].rstrip()))
    assert "no JSON" in error.what and error.where.startswith("line ")
    if keep:
        assert "was it cut short?" in error.what or "Unterminated" in error.what


def test_no_json(tmp_path: Path) -> None:
    error = error_of(put(tmp_path, '{"format": 1,\n "vectors": oops}'))
    assert error.where == "line 2 column 13"


def test_no_text(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(b"{\xff\xfe")
    assert "is not UTF-8 text" in error_of(path).what


def test_deep_nesting(tmp_path: Path) -> None:
    assert "nested too deeply" in error_of(put(tmp_path, "[" * 200_000)).what


def spoil_format(document: Any) -> None:
    document["format"] = 2


def spoil_version(document: Any) -> None:
    document["spec"] = "9.9.9"


def spoil_member(document: Any) -> None:
    document["colour"] = "red"


def spoil_operation(document: Any) -> None:
    document["vectors"][1]["steps"][0]["op"] = "frobnicate"


def spoil_field(document: Any) -> None:
    document["vectors"][1]["steps"][0]["colour"] = "red"


def spoil_number(document: Any) -> None:
    document["vectors"][0]["steps"][0]["gpa"] = 4096


def spoil_expectation(document: Any) -> None:
    del document["vectors"][0]["steps"][0]["expect"]


def spoil_rule(document: Any) -> None:
    document["vectors"][0]["rules"] = ["KVM.NO.SUCH"]


def spoil_switch(document: Any) -> None:
    document["vectors"][0]["requires"]["switches"] = {"colour": 1}


def spoil_operations(document: Any) -> None:
    document["vectors"][0]["requires"]["operations"] = ["observe"]


def spoil_steps(document: Any) -> None:
    document["vectors"][0]["steps"] = []


def spoil_content(document: Any) -> None:
    document["vectors"][2]["steps"][0]["slot"] = 3


def spoil_ids(document: Any) -> None:
    document["vectors"][3] = document["vectors"][0]


def spoil_repair(document: Any) -> None:
    index = next(i for i, vector in enumerate(document["vectors"]) if "field" in vector.get("repair", {}))
    document["vectors"] = document["vectors"][index:]
    document["vectors"][0]["repair"]["field"] = "colour"


@pytest.mark.parametrize(
    ("spoil", "where", "what"),
    [
        (spoil_format, "$.format", "this is format 2; this program reads format 1"),
        (spoil_version, "$.spec", "these vectors are of specification 9.9.9, this program has "),
        (spoil_member, "$.colour", "unknown member"),
        (spoil_operation, "$.vectors[1].steps[0].op", "unknown operation 'frobnicate'; there are: set_region"),
        (spoil_field, "$.vectors[1].steps[0].colour", "unknown member"),
        (spoil_number, "$.vectors[0].steps[0].gpa", "is not a hexadecimal string"),
        (spoil_expectation, "$.vectors[0].steps[0]", "'expect' is missing"),
        (spoil_rule, "$.vectors[0].rules[0]", "there is no rule 'KVM.NO.SUCH'"),
        (spoil_switch, "$.vectors[0].requires.switches.colour", "is not a profile switch"),
        (spoil_operations, "$.vectors[0].requires.operations", "the steps need"),
        (spoil_steps, "$.vectors[0].steps", "at least one step"),
        (spoil_content, "$.vectors[2].id", "is not the hash of this vector's content"),
        (spoil_ids, "$.vectors[3].id", "is also $.vectors[0]"),
        (spoil_repair, "$.vectors[0].repair.field", "'colour' is no field of this step"),
    ],
)
def test_what_is_wrong_and_where(
    tmp_path: Path, document: Any, spoil: Callable[[Any], None], where: str, what: str
) -> None:
    spoil(document)
    error = error_of(put(tmp_path, document))
    assert error.where == where
    assert what in error.what


def test_the_schema_finds_what_the_reader_lets_pass(tmp_path: Path, document: Any) -> None:
    document["licence"] = "all rights reserved"
    assert "the schema does not allow this" in error_of(put(tmp_path, document)).what


def test_the_same_vector_in_two_files(tmp_path: Path, document: Any) -> None:
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text(json.dumps(document))
    with pytest.raises(VectorFileError, match=r"two.json: \$.vectors\[0\].id: .* is also in .*one.json"):
        load_vectors(tmp_path)
