"""`prove`: judge theorems and contracts in several processes; what did not change is known from before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from proofs.cache import Cache
from proofs.catalogue import module_of, theorem_named
from proofs.crosshair import CONFIRMED, ContractVerdict, check_contracts, contract_modules, contracts_of
from proofs.prover import PROVED, UNKNOWN, Verdict, judge
from proofs.ran import JUDGE, Recorder, WatchedImport, digests_of_texts
from proofs.selection import Selection
from proofs.workers import run_all

TWO_CORES = 2
UNKNOWN_THEOREM, UNKNOWN_MODULE = 1.0, 10.0  # seconds


@dataclass(frozen=True)
class Report:
    """What came out for each theorem, in the order of the catalogue, and for each contract; how long it all took."""

    verdicts: tuple[Verdict, ...]
    contracts: tuple[ContractVerdict, ...]
    seconds: float

    def passed(self) -> bool:
        """Whether there is anything, and all theorems are proved (witness, bug included), all contracts confirmed."""
        theorems = [verdict.status == PROVED for verdict in self.verdicts]
        contracts = [contract.status == CONFIRMED for contract in self.contracts]
        return bool(theorems or contracts) and all(theorems) and all(contracts)

    def kept(self) -> int:
        """How many verdicts were found in an earlier run."""
        return sum(verdict.kept for verdict in self.verdicts) + sum(contract.kept for contract in self.contracts)


def prove(
    selection: Selection | str | None = None,
    jobs: int = TWO_CORES,
    on_progress: Callable[[Verdict | ContractVerdict], None] | None = None,
    cache: Cache | None = None,
    fresh: bool = False,
    on_begin: Callable[[str], None] = lambda _: None,
) -> Report:
    """Judge the theorems and contracts that are meant (a text is a part of an id or a sentence) in `jobs` processes.

    With a cache, what is judged is kept at once, and what it has is not judged again unless all is to be `fresh`.
    `on_progress` is called with each verdict as it comes, `on_begin` with the name of what is begun. Nothing that is
    meant gives a report that has not passed.
    """
    started = time.perf_counter()
    meant = selection if isinstance(selection, Selection) else Selection(selection)
    theorems = meant.theorems()
    verdicts: dict[str, Verdict] = {}
    contracts: list[ContractVerdict] = []
    names = [*meant.contracts(), *(theorem.id for theorem in theorems)]
    for result in judged(names, jobs, cache, fresh, on_begin):
        if isinstance(result, Verdict):
            verdicts[result.id] = result
        else:
            contracts.append(result)
        if on_progress is not None:
            on_progress(result)
    return Report(
        tuple(verdicts[theorem.id] for theorem in theorems),
        tuple(sorted(contracts, key=lambda contract: contract.id)),
        time.perf_counter() - started,
    )


def judged(
    names: Sequence[str],
    jobs: int,
    cache: Cache | None,
    fresh: bool = False,
    on_begin: Callable[[str], None] = lambda _: None,
) -> Iterator[Verdict | ContractVerdict]:
    """The verdicts on theorems and on modules of contracts, by their names: first those that are kept, then the rest as
    they are found. What took longest the last time is begun first.
    """
    rest = list(names)
    if cache is not None and not fresh:
        for name in names:
            kept = kept_verdicts(cache, name)
            if kept is not None:
                rest.remove(name)
                yield from kept
    if not rest:
        return
    seconds = {name: seconds_of(cache, name) for name in rest}
    rest.sort(key=lambda name: -seconds[name])
    if cache is None:
        for done in run_all(rest, jobs, _judge_named, _given_up, on_begin=on_begin):
            yield from done.results
        return
    expected = cache.sources.digests([JUDGE])
    watched = WatchedImport()
    try:
        for done in run_all(rest, jobs, _judge_named, _given_up, partial(_watch, expected), on_begin):
            keep_verdicts(cache, done, watched, expected)
            yield from done.results
    finally:
        watched.end()


def seconds_of(cache: Cache | None, name: str) -> float:
    """What a theorem or a module of contracts took the last time that it was judged; a guess if it never was."""
    last = None if cache is None else cache.seconds_last_time(name)
    if last is None:
        return UNKNOWN_MODULE if name in contract_modules() else UNKNOWN_THEOREM
    return last


def kept_verdicts(cache: Cache, name: str) -> tuple[Verdict | ContractVerdict, ...] | None:
    """What is kept about a theorem or a module of contracts."""
    if name in contract_modules():
        return cache.contracts(name)
    verdict = cache.theorem(name, module_of(name))
    return None if verdict is None else (verdict,)


def keep_verdicts(cache: Cache, done: Done, watched: WatchedImport, expected: dict[str, str]) -> None:
    """Keep what was found, unless the code was not that of the texts which the cache has read."""
    if not all(result.status in (PROVED, CONFIRMED) for result in done.results):
        return
    try:
        imported, texts = watched.seen()
    except ImportError as error:
        cache.complain(f"nothing is kept: {error}")
        return
    if done.ran is None or any(expected.get(name, text) != text for name, text in texts.items()):
        cache.complain("nothing is kept: code was changed while it was judged")
    elif done.name in contract_modules():
        cache.keep_contracts(done.name, done.results)
    else:
        module = module_of(done.name)
        cache.keep_theorem(done.results[0], module, cache.ran_for(module, done.ran, imported))


@dataclass(frozen=True)
class Done:
    """What a worker found out about a theorem or a module of contracts, and what ran; None if that is not known."""

    name: str
    results: tuple[Any, ...]
    ran: dict[str, list[str]] | None = None


_recorder: Recorder | None = None  # of a worker
_is_as_expected = False


def _watch(expected: dict[str, str]) -> None:
    """Note in this worker what runs from now on, and whether its code is what the cache has read."""
    global _recorder, _is_as_expected
    _recorder = Recorder()
    _is_as_expected = all(expected.get(name, text) == text for name, text in digests_of_texts().items())


def _judge_named(name: str) -> Done:
    results = check_contracts(name) if name in contract_modules() else (judge(theorem_named(name)),)
    return Done(name, results, _recorder.until_now() if _recorder is not None and _is_as_expected else None)


def _given_up(name: str, why: str) -> Done:
    if name in contract_modules():
        return Done(name, tuple(ContractVerdict(f"{name}.{function}", why, 0.0) for function in contracts_of(name)))
    return Done(name, (Verdict(name, UNKNOWN, 0.0, detail=why),))
