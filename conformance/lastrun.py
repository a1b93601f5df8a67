"""The results that the last run of a target left behind: what they are, and how far that run came."""

from __future__ import annotations

import contextlib
import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class LastRun:
    """Results of one target. `entries` are by vector id; `versions` are what the target said of itself."""

    target: str
    out: Path
    when: datetime.datetime | None = None  # when the last result was written, in local time; None: there are none
    versions: list[str] = field(default_factory=list)
    finished: bool = False
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def about(self) -> str:
        """Which run this is, in words: results may be old, and of a run that was broken off."""
        if self.when is None:
            return "no run"
        versions = f" of version {', '.join(self.versions)}" if self.versions else ""
        unfinished = "" if self.finished else f", which did not finish ({len(self.entries)} results)"
        return f"the run of {self.when:%Y-%m-%d %H:%M}{versions}{unfinished}"


def last_run(target: str, out: Path) -> LastRun:
    """Read what is there; a line that was cut short is left out."""
    found = LastRun(target, out)
    path = out / "results" / f"{target}.jsonl"
    try:
        text = path.read_text(errors="replace")
        found.when = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    except OSError:
        return found
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if not isinstance(entry, dict):
                continue
            if "verdict" in entry:
                found.entries[entry["id"]] = entry
            elif "version" in entry and entry["version"] not in found.versions:
                found.versions.append(entry["version"])
            elif entry.get("end"):
                found.finished = True
    return found
