"""What the commands share: where they print, and how they fail."""

from __future__ import annotations

import sys

import click
from rich.console import Console

HARNESS_FAILED = 2

PIPE_WIDTH = 140  # a table in a log is read later, and wider than 80 columns

console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
errors = Console(stderr=True)


class Failure(click.ClickException):
    """The harness failed: exit status 2 and one clear sentence."""

    exit_code = HARNESS_FAILED
