"""cvc5, a second solver, asked about a file. It shares nothing with z3 but the text in the file."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

# For each question so many steps, about 2 seconds: a limit in seconds would give other answers on a busy machine. The
# limit in milliseconds is for what takes long within a step. Bits of bit-vectors go straight to the SAT solver.
LIMIT_STEPS = 300_000
OPTIONS = {"rlimit-per": str(LIMIT_STEPS), "tlimit-per": "60000", "bv-solver": "bitblast-internal"}
ERROR = "error"


@dataclass(frozen=True)
class Answer:
    """What a solver says of a file: "sat", "unsat", "unknown" with its reason, or "error" with a message."""

    file: str
    verdict: str
    detail: str = ""


def is_there() -> bool:
    return importlib.util.find_spec("cvc5") is not None


def load() -> None:
    """Load the solver, if it is there, so that it need not be loaded for each few questions."""
    if is_there():
        importlib.import_module("cvc5")


def name() -> str:
    return f"cvc5 {importlib.metadata.version('cvc5')}"


def ask(path: Path) -> Answer:
    """The solver's answer, within its limits. Never raises: what went wrong is in the answer."""
    import cvc5

    try:
        solver = cvc5.Solver(cvc5.TermManager())
        for option, value in OPTIONS.items():
            solver.setOption(option, value)
        parser = cvc5.InputParser(solver)
        parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, str(path))
        symbols = parser.getSymbolManager()
        said = []
        while not (command := parser.nextCommand()).isNull():
            said.append(str(command.invoke(solver, symbols)).strip())
    except Exception as error:  # whatever the library raises
        return Answer(path.name, ERROR, " ".join(str(error).split()))
    return answer_of(path.name, " ".join(part for part in said if part))


def answer_of(file: str, text: str) -> Answer:
    """What a solver printed, as an answer. Anything but the three words of the standard is an error."""
    verdict, _, detail = text.partition(" ")
    return Answer(file, verdict, detail) if verdict in ("sat", "unsat", "unknown") else Answer(file, ERROR, text)
