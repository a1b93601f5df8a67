"""What is made of a console: whether a bug was reported, and during which vector."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.targets.linux.console import Console

BOOT = "[    1.0] WARNING: of the boot\r\n"
READY = "[    2.0] gpaspec: ready\r\n"
BUG = "[    3.0] BUG: unable to handle page fault\r\n"


def vector(number: int) -> str:
    return f"[    3.0] gpaspec: vector {number}\r\n"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    (tmp_path / "console").touch()
    return Console(tmp_path / "console")


def said(console: Console, *texts: str) -> tuple[bool, int | None]:
    """What is known after each of these was said and read."""
    for text in texts:
        with console.path.open("a") as file:
            file.write(text)
        console.read()
    return console.alarmed, console.blamed


def test_the_vector_that_began_last_is_blamed_for_the_first_report(console: Console) -> None:
    assert said(console, READY, vector(3), vector(4)) == (False, None)
    assert said(console, BUG + vector(5) + BUG) == (True, 4)
    assert said(console, vector(6), BUG) == (True, 4)


def test_without_marks_nobody_is_blamed(console: Console) -> None:
    assert said(console, READY, BUG) == (True, None)


def test_what_is_said_at_boot_is_not_about_vectors(console: Console) -> None:
    said(console, BOOT)
    console.begin()
    assert said(console) == (False, None)
    assert said(console, BUG) == (True, None)


def test_a_report_before_hello_is_read_counts(console: Console) -> None:
    said(console, BOOT + READY + vector(0) + BUG)
    console.begin()
    assert said(console) == (True, 0)


def test_a_late_console_is_not_taken_for_a_report(console: Console) -> None:
    console.begin()
    assert said(console, BOOT + READY, vector(0)) == (False, None)


def test_a_line_in_pieces_is_one_line(console: Console) -> None:
    assert said(console, READY, vector(1), "[ 3.0] gpaspec: vec", "tor 2\r\n[ 4.0] WARN", "ING: at", "\r\n") == (
        True,
        2,
    )


def test_what_was_said_while_the_vector_ran_is_kept(console: Console) -> None:
    said(console, READY, vector(1), vector(2), BUG, "more\r\n\r\n", vector(3), "of another\r\n" * 100, "cut")
    assert [line.partition("] ")[2] or line for line in console.last_lines()[-3:]] == [
        "gpaspec: vector 2",
        "BUG: unable to handle page fault",
        "more",
    ]


def test_without_a_report_the_last_lines_are_kept(console: Console) -> None:
    said(console, "one\r\n" * 100, READY, "two\r\n", "not whole")
    assert console.last_lines()[-3:] == ["[    2.0] gpaspec: ready", "two", "not whole"]
    assert len(console.last_lines()) == 61


def test_no_file_is_no_report(tmp_path: Path) -> None:
    none = Console(tmp_path / "none")
    none.begin()
    assert not none.alarmed
