"""A copy of the rooms, to be changed and judged, with a cache of its own."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from proofs.sources import ROOMS, ROOT

JUDGE = """
import json, sys
from proofs.cache import Cache
from proofs.run import judged
if __name__ == "__main__":
    names, fresh = json.loads(sys.argv[1])
    cache = Cache(complain=lambda sentence: print(sentence, file=sys.stderr))
    found = {one.id: [one.status, one.kept] for one in judged(names, 2, cache, fresh)}
    print(json.dumps(found))
"""


@dataclass(frozen=True)
class Outcome:
    """What came out: the status of each verdict, which of them were kept, and what was complained of."""

    status: dict[str, str]
    kept: set[str]
    complaints: str


class Copy:
    """A copy of spec, model and proofs in a directory."""

    def __init__(self, where: Path) -> None:
        self.where, self.cache = where / "rooms", where / "cache"
        for room in ROOMS:
            shutil.copytree(ROOT / room, self.where / room, ignore=shutil.ignore_patterns("__pycache__"))
        (self.where / "judge.py").write_text(JUDGE)

    @contextmanager
    def changed(self, file: str, old: str, new: str) -> Iterator[None]:
        """Inside, the first place of a file that has this text has another."""
        text = (self.where / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (self.where / file).write_text(text.replace(old, new, 1))
        try:
            yield
        finally:
            (self.where / file).write_text(text)

    @contextmanager
    def mutated(self, random: Random) -> Iterator[str]:
        """Inside, one operator or number in the body of some function of spec or model is another; says which."""
        file = random.choice(sorted([*(self.where / "spec").rglob("*.py"), *(self.where / "model").rglob("*.py")]))
        text = file.read_text()
        tree = ast.parse(text)
        places = [
            node
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for statement in function.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Compare | ast.BinOp) or (isinstance(node, ast.Constant) and type(node.value) is int)
        ]
        if not places:
            yield f"{file.name}: nothing"
            return
        place = random.choice(places)
        before = ast.unparse(place)
        if isinstance(place, ast.Compare):
            place.ops[0] = random.choice([ast.Lt(), ast.LtE(), ast.Eq(), ast.NotEq()])
        elif isinstance(place, ast.BinOp):
            place.op = random.choice([ast.Add(), ast.Sub()])
        else:
            place.value = int(str(place.value)) + random.choice([-1, 1])
        file.write_text(ast.unparse(tree))
        try:
            yield f"{file.name}: {before} became {ast.unparse(place)}"
        finally:
            file.write_text(text)

    def judge(self, names: Sequence[str], fresh: bool = False) -> Outcome:
        """Judge theorems and modules of contracts by what the copy says now."""
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.cache), "PYTHONPATH": str(self.where)}
        command = [sys.executable, "judge.py", json.dumps([list(names), fresh])]
        ran = subprocess.run(command, cwd=self.where, env=environment, capture_output=True, text=True, check=True)
        found = json.loads(ran.stdout)
        return Outcome(
            {name: status for name, (status, _) in found.items()},
            {name for name, (_, kept) in found.items() if kept},
            ran.stderr,
        )
