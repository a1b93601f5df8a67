"""What the pages point at is there: links and their anchors, commands and their options, vectors and theorems."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from conformance.cli import main
from conformance.files import DIRECTORY
from proofs.catalogue import SUBJECTS, THEOREMS

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "conformance/targets/c/README.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# In a block each line is a command; in a sentence what stands in backticks is one.
COMMAND = re.compile(r"^ {4}(?:\.venv/bin/)?(gpaspec .*)$|`(gpaspec [^`]+)`", re.MULTILINE)
MAKE = re.compile(r"^ {4}make ([a-z][a-z0-9-]*)|`make ([a-z][a-z0-9-]*)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub names them: of equal ones the second ends in -1."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def dead_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(page.read_text()):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if target.startswith("https://"):
            continue
        if not file.exists():
            yield target
        elif re.fullmatch(r"L\d+", anchor):
            if int(anchor[1:]) > len(file.read_text().splitlines()):
                yield target
        elif anchor and anchor not in anchors(file):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(dead_links(page)) == []


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each `gpaspec` command that a page names, without what is told of it behind."""
    for block, sentence in COMMAND.findall(page.read_text()):
        text = re.split(r" {2,}|\s#|…| \.\.\.|`", block or sentence)[0]
        yield shlex.split(text.replace("NAME=COMMAND", "name=command"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_that_pages_give_them(page: Path) -> None:
    for _, *words in commands(page):
        if not words or words[0].startswith("-"):
            continue
        command = main.commands.get(words[0])
        assert command is not None, words
        try:
            command.make_parser(click.Context(command)).parse_args(words[1:])
        except click.UsageError as error:
            pytest.fail(f"gpaspec {' '.join(words)}: {error.message}")


def test_commands_are_found() -> None:
    """So that the test before this one is about something."""
    found = [words for page in PAGES for words in commands(page)]
    assert len(found) > 40 and ["gpaspec", "check", "linux-host"] in found
    assert ["gpaspec", "prove", "--module", "vhost_iotlb.ko", "--kernel", "6.1"] in found


def test_shortcuts_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_the_library = {"check", "install", "uninstall"}  # of its own Makefile
    for page in PAGES:
        named = {block or sentence for block, sentence in MAKE.findall(page.read_text())}
        assert named <= targets | in_the_library, page.name


def test_vectors_and_theorems_that_are_named_exist() -> None:
    published = "".join(path.read_text() for path in sorted(DIRECTORY.glob("*.json")))
    theorems = {theorem.id for theorem in THEOREMS}
    for page in PAGES:
        for _, *words in commands(page):
            for word in words[1:]:
                if re.fullmatch(r"[0-9a-f]{12}", word):
                    assert f'"id":"{word}"' in published, f"{page.name}: {word}"
                if re.fullmatch(r"[A-Z]+\.[A-Z_]+", word) and words[0] == "prove" and "--explain" in words:
                    assert word in theorems, f"{page.name}: {word}"


def test_stand_ins_are_on_the_page_of_what_is_believed() -> None:
    """A subject whose theorems replace something while they are proved is named where stand-ins are listed."""
    page = (ROOT / "docs" / "proofs.md").read_text()
    listed = page[page.index("**6. Stand-ins.**") : page.index("**7. ")]
    marks = ("patched(", "without_runs", "after_one_round", "by_contract", "proofs.machines")
    for subject in SUBJECTS:
        source = Path(subject.__file__ or "").read_text()
        if any(mark in source for mark in marks):
            for word in {theorem.id.partition(".")[0] for theorem in subject.THEOREMS} - {
                "UPDATE",
                "INVALIDATE",
            }:  # of the map alone
                assert f"`{word}." in listed, f"{subject.__name__}: {word}"
