"""What was found out about each breakage when it was asked last, for the page. Nothing is judged by it."""

from __future__ import annotations

import json
from dataclasses import asdict

from tests.breakages.breakage import ROOT, Breakage
from tests.breakages.judging import Answer, Finding

FILE = ROOT / "out" / "breakages.json"


def keep(finding: Finding) -> None:
    """Keep it, in place of what is kept about the same breakage."""
    known = {**read(), finding.breakage.name: asdict(finding)}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(known, indent=1) + "\n")


def kept(breakage: Breakage) -> Finding:
    """What was found about a breakage; no answers if it was not asked about since it is in the list, or was changed."""
    known = read().get(breakage.name)
    if known is None or known["breakage"] != json.loads(json.dumps(asdict(breakage))):
        return Finding(breakage, ())
    answers = [Answer(**{**one, "case": tuple(one["case"])}) for one in known["answers"]]
    return Finding(breakage, tuple(answers))


def read() -> dict[str, dict[str, object]]:
    """All that is kept, by name."""
    found: dict[str, dict[str, object]] = json.loads(FILE.read_text()) if FILE.is_file() else {}
    return found
