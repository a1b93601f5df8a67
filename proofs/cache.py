"""Verdicts that are kept from one run to the next, in the XDG cache directory.

Only good ones are kept: a theorem that is proved, with its witness and its planted bug; a module whose contracts are
all confirmed. An entry names the functions that ran when the verdict was found, and the key that comes of them
(`proofs.sources`). It counts as long as the same key comes of the same functions now. A file that is not as it was
written is not looked at any further.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import z3

from proofs.crosshair import CONFIRMED, ContractVerdict, contracts_of
from proofs.prover import PROVED, Verdict
from proofs.ran import UNSEEN
from proofs.sources import Functions, Sources, digest, is_part_of
from proofs.values import NotPlain, as_json, from_json

FORM = 1  # of an entry
MOST_ENTRIES = 12  # of one theorem: for several checkouts, and for going back and forth
# What every verdict rests on counts to its last word: how it is found, and how it is kept.
HOW_FOUND = ("proofs.prover", "proofs.symbolic", "proofs.theorem")
HOW_KEPT = ("proofs.cache", "proofs.ran", "proofs.sources", "proofs.values", "proofs.workers")


def directory() -> Path:
    """Where verdicts are kept: below `$XDG_CACHE_HOME/gpaspec` (`~/.cache/gpaspec` by default)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "gpaspec" / "proofs"


class Cache:
    """The verdicts that are kept. `complain` is told of files that are not as they were written."""

    def __init__(
        self,
        sources: Sources | None = None,
        where: Path | None = None,
        complain: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.sources = Sources() if sources is None else sources
        self.where = directory() if where is None else where
        self._complain, self._complaints = complain, set[str]()
        self._tools = digest(f"form {FORM}", *tools())

    def complain(self, sentence: str) -> None:
        """Say what is wrong with the cache, once."""
        if sentence not in self._complaints:
            self._complaints.add(sentence)
            self._complain(sentence)

    # THEOREMS ----------------------------------------------------------------------------------------------------

    def theorem_key(self, theorem_id: str, module: str, ran: Functions) -> str | None:
        """The key of a theorem's verdict: `module` is where the theorem is, `ran` what ran when it was judged."""
        base = [name for name in self._on_the_way_of_the_judge() if is_part_of(name, HOW_FOUND + HOW_KEPT)]
        if set(self.sources.on_the_way([module, *ran])) & set(UNSEEN):
            return None
        key = self.sources.key([module], ran, base)
        return None if key is None else digest(self._tools, theorem_id, module, key)

    def ran_for(self, module: str, ran: Functions, imported: Functions) -> Functions:
        """What ran for a theorem of a module: while it was judged, and while that was imported which it needs."""
        way = self.sources.on_the_way([module, *ran, *HOW_FOUND])
        return {name: {*ran.get(name, ()), *imported.get(name, ())} for name in way if name in ran or name in imported}

    def _on_the_way_of_the_judge(self) -> list[str]:
        return [*self.sources.on_the_way(["proofs.prover"]), *HOW_KEPT]

    def theorem(self, theorem_id: str, module: str) -> Verdict | None:
        """The verdict on a theorem that is as it was, None if it is to be judged."""
        for path in self._entries(theorem_id):
            entry = self._read(path)
            if entry is None or entry.get("key") != self._key_of(theorem_id, module, entry):
                continue
            try:
                verdict = _verdict_from(entry["verdict"])
            except (NotPlain, KeyError, TypeError) as error:
                self.complain(f"{path} is not used: {error}")
                continue
            if verdict.id == theorem_id and _is_good(verdict):
                with contextlib.suppress(OSError):
                    os.utime(path)  # what is used stays
                return replace(verdict, kept=True)
        return None

    def _key_of(self, theorem_id: str, module: str, entry: dict[str, Any]) -> str | None:
        ran = entry.get("ran")
        if not isinstance(ran, dict):
            return None
        return self.theorem_key(theorem_id, module, ran)

    def keep_theorem(self, verdict: Verdict, module: str, ran: Functions) -> bool:
        """Keep a good verdict; any other, and one whose cases cannot be written, is not kept."""
        if not _is_good(verdict):
            return False
        key = self.theorem_key(verdict.id, module, ran)
        try:
            document = {name: as_json(value) for name, value in vars(verdict).items() if name != "kept"}
            if key is None or _verdict_from(document) != verdict:
                return False
        except NotPlain:
            return False
        listed = {name: sorted(functions) for name, functions in ran.items()}
        return self._write(verdict.id, key, {"key": key, "ran": listed, "verdict": document})

    # CONTRACTS ---------------------------------------------------------------------------------------------------

    def contracts_key(self, module: str) -> str:
        """The key of the verdicts on a module's contracts. CrossHair reads docstrings and comments: every word counts,
        also of all that the module imports.
        """
        how = (source.text for name in ("proofs.crosshair", *HOW_KEPT) if (source := self.sources.module(name)))
        return digest(self._tools, self.sources.texts([module]), *how)

    def contracts(self, module: str) -> tuple[ContractVerdict, ...] | None:
        """The verdicts on a module's contracts, all confirmed, if it is as it was."""
        for path in self._entries(module):
            entry = self._read(path)
            if entry is None or entry.get("key") != self.contracts_key(module):
                continue
            try:
                found = tuple(ContractVerdict(**{**one, "kept": True}) for one in entry["contracts"])
            except (KeyError, TypeError) as error:
                self.complain(f"{path} is not used: {error}")
                continue
            if _are_all_confirmed(module, found):
                return found
        return None

    def keep_contracts(self, module: str, verdicts: tuple[ContractVerdict, ...]) -> bool:
        """Keep what was said of a module's contracts if all are confirmed."""
        if not _are_all_confirmed(module, verdicts):
            return False
        key = self.contracts_key(module)
        return self._write(module, key, {"key": key, "contracts": [asdict(verdict) for verdict in verdicts]})

    def seconds_last_time(self, name: str) -> float | None:
        """What a theorem, or a module of contracts, took when it was last judged and kept, also by other code."""
        for path in self._entries(name):
            entry = self._read(path)
            if entry is not None:
                found = [entry["verdict"]] if "verdict" in entry else entry.get("contracts", [])
                return float(sum(one["seconds"] for one in found))
        return None

    # FILES -------------------------------------------------------------------------------------------------------

    def _entries(self, name: str) -> list[Path]:
        """The files about a theorem or a module, the one that was used last first."""
        with contextlib.suppress(OSError):
            return sorted(self.where.joinpath(name).glob("*.json"), key=lambda path: -path.stat().st_mtime)
        return []

    def _read(self, path: Path) -> dict[str, Any] | None:
        """An entry, if the file is as it was written."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            entry, seal = document["entry"], document["seal"]
            if not isinstance(entry, dict) or seal != _seal(entry):
                raise ValueError("its contents are not what was written")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.complain(f"{path} is not used: {type(error).__name__}: {error}")
            return None
        return entry

    def _write(self, name: str, key: str, entry: dict[str, Any]) -> bool:
        """Write an entry, whole or not at all. A cache that cannot be written is no reason to fail."""
        place = self.where / name
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=place, delete=False, encoding="utf-8") as scratch:
                json.dump({"seal": _seal(entry), "entry": entry}, scratch)
            os.replace(scratch.name, place / f"{key[:24]}.json")
            for old in self._entries(name)[MOST_ENTRIES:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            self.complain(f"nothing is kept: {error}")
            return False
        return True


def tools() -> Iterable[str]:
    """The programs that a verdict rests on besides ours."""
    yield sys.version
    yield f"optimized {sys.flags.optimize}"
    yield z3.get_full_version()
    for package in ("z3-solver", "crosshair-tool"):
        yield f"{package} {importlib.metadata.version(package)}"


def _is_good(verdict: Verdict) -> bool:
    return verdict.status == PROVED and verdict.witness is not None and verdict.bug_case is not None


def _seal(entry: dict[str, Any]) -> str:
    return digest(json.dumps(entry, sort_keys=True))


def _verdict_from(document: dict[str, Any]) -> Verdict:
    return Verdict(**{name: from_json(value) for name, value in document.items()})


def _are_all_confirmed(module: str, verdicts: tuple[ContractVerdict, ...]) -> bool:
    wanted = {f"{module}.{function}" for function in contracts_of(module)}
    return bool(wanted) and {one.id for one in verdicts if one.status == CONFIRMED} == wanted
