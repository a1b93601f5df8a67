"""Bounded model checking of the library: the quick harnesses hold, and what must not pass does not.

All harnesses are run by `make prove-c`. Here are those that take seconds, and the ways in which a proof can be worth
nothing: assumptions that cannot be met, a loop that goes on past its bound, a bug that nobody finds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.c import checking, verifying
from conformance.targets.c.cbmc import Cbmc, cbmc, major, started
from conformance.targets.c.verify.catalogue import HARNESSES, harness_named
from conformance.targets.c.verify.functions import NOT_REACHED, functions_of_library, looked_at, unreached
from conformance.targets.c.verify.harness import Harness, Plant

PAGE = Path(__file__).parents[3] / "docs/c_verification.md"
QUICK = tuple(one for one in HARNESSES if one.quick)


@pytest.fixture(scope="module")
def tool() -> Cbmc:
    try:
        return cbmc()
    except TargetUnavailable as reason:
        pytest.skip(f"CBMC cannot be had here: {reason}")


def written(directory: Path, body: str, unwind: int = 3) -> Harness:
    """A harness of our own."""
    file = directory / "own.c"
    file.write_text(f'#include "verify.h"\n\nvoid own(void)\n{{\n{body}\n}}\n')
    return Harness("own", "A sentence.", "none", str(file), "own", unwind, plants=())


@pytest.mark.slow
@pytest.mark.parametrize("harness", QUICK, ids=[one.name for one in QUICK])
def test_proved_and_its_planted_bugs_refuted(harness: Harness, tool: Cbmc) -> None:
    (verdict,) = verifying.verify((harness,), tool)
    assert verdict.outcome.status == checking.PROVED, verdict.outcome
    assert verdict.outcome.witnesses
    for plant, outcome in zip(harness.plants, verdict.planted, strict=True):
        assert outcome.status == checking.REFUTED, (plant, outcome)
        assert outcome.values, "a counterexample has values"
    assert verdict.passed()


@pytest.mark.slow
def test_a_counterexample_is_printed(tool: Cbmc, capsys: pytest.CaptureFixture[str]) -> None:
    harness = harness_named("region-request")
    verifying.print_outcome(harness, harness.plants[0], checking.check(harness, harness.plants[0], tool))
    printed = capsys.readouterr().out
    assert "refuted" in printed and "region.hva = 0x" in printed


@pytest.mark.slow
def test_a_change_that_breaks_nothing_is_no_bug(tool: Cbmc) -> None:
    harness = harness_named("region-request")
    harmless = Plant("nothing", "region.c", "number % GPAMAP_PAGE_SIZE != 0", "(number & 4095) != 0")
    (verdict,) = verifying.verify((replace(harness, plants=(harmless,)),), tool)
    assert verdict.planted[0].status == checking.MISSED
    assert not verdict.passed()


@pytest.mark.slow
def test_assumptions_that_cannot_be_met_prove_nothing(tool: Cbmc, tmp_path: Path) -> None:
    body = 'size_t n = any_below(3);\nASSUME(n > 3);\nCLAIM(n == 7, "seven");\nWITNESS(true, "there is one");'
    assert checking.check(written(tmp_path, body), None, tool).status == checking.VACUOUS


@pytest.mark.slow
def test_without_a_witness_or_a_claim_nothing_is_proved(tool: Cbmc, tmp_path: Path) -> None:
    assert checking.check(written(tmp_path, 'CLAIM(true, "true");'), None, tool).status == checking.VACUOUS
    assert checking.check(written(tmp_path, 'WITNESS(true, "it ends");'), None, tool).status == checking.VACUOUS


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "for (size_t i = 0, n = any_below(9); i < n; i++)\n;",  # past the bound
        "int number = (int)nondet_u32();\nnumber++;",  # undefined
        'CLAIM(nondet_u64() != 5, "not five");',
    ],
    ids=["loop", "overflow", "claim"],
)
def test_what_does_not_hold_is_refuted(tool: Cbmc, tmp_path: Path, body: str) -> None:
    harness = written(tmp_path, f'{body}\nCLAIM(true, "true");\nWITNESS(true, "it ends");')
    assert checking.check(harness, None, tool).status == checking.REFUTED


@pytest.mark.slow
def test_what_takes_too_long_is_not_proved(tool: Cbmc, tmp_path: Path) -> None:
    body = 'uint64_t a = nondet_u64(), b = nondet_u64();\nASSUME(a > 1 && b > 1);\nWITNESS(true, "it ends");\n'
    body += 'CLAIM((wide)a * b != ((wide)1 << 89) - 1, "prime");'
    harness = replace(written(tmp_path, body), seconds=2)
    assert checking.check(harness, None, tool).status == checking.UNDECIDED


def test_a_plant_that_does_not_apply_is_told() -> None:
    plant = Plant("old", "region.c", "no such text", "")
    with pytest.raises(checking.PlantDoesNotApply, match=r"region\.c has 0 times: 'no such text'"):
        checking.library_with(plant).__enter__()


def said_in_the_page(looked_at_by_any: int) -> bool:
    """Whether the page says so many, of all."""
    sentence = f"Of {len(functions_of_library())} functions {looked_at_by_any} are looked at by at least one harness"
    return sentence in " ".join(PAGE.read_text().split())


def test_the_page_says_how_many_functions_are_looked_at() -> None:
    """All but those that are said not to be, as far as the slow test below holds."""
    assert said_in_the_page(len(functions_of_library()) - len(NOT_REACHED))


@pytest.mark.parametrize("name", ["index_at", "check_request"])
def test_what_a_harness_puts_in_place_of_a_function_is_not_that_function(name: str, tmp_path: Path) -> None:
    harness = tmp_path / "own.c"
    harness.write_text(f"int {name}(int number);\n\nint user(void)\n{{\n\treturn {name}(1);\n}}\n")
    listed = [{"functions": [{"name": name, "isBodyAvailable": True}, {"name": "user", "isBodyAvailable": True}]}]
    assert looked_at(listed, harness) == (name,)
    harness.write_text(f"int {name}(int number)\n{{\n\treturn number;\n}}\n")
    assert looked_at(listed, harness) == ()


@pytest.mark.slow
def test_each_function_is_looked_at_or_said_not_to_be(tool: Cbmc) -> None:
    """By what CBMC can come to from each harness, with all checks: without proving anything."""

    def functions_of(harness: Harness) -> tuple[str, ...]:
        command = [*tool.command, *checking.read_by(harness, checking.HERE), *checking.bounds_of(harness)]
        printed = checking.run_limited([*command, "--json-ui", "--list-goto-functions"], harness.seconds)
        return looked_at(checking.parts_of(printed), checking.VERIFY / harness.file)

    with ThreadPoolExecutor(2) as pool:
        by_harness = dict(zip([one.name for one in HARNESSES], pool.map(functions_of, HARNESSES), strict=True))
    assert unreached(by_harness) == ()
    assert said_in_the_page(len(set().union(*by_harness.values())))
    assert set(functions_of_library()) >= set(NOT_REACHED)
    assert all(by_harness.values()), "each harness looks at some of the library"


def test_the_functions_of_the_library_are_all_found() -> None:
    found = functions_of_library()
    assert {"walk", "gpamap_set_region", "run_guess", "block_new", "gate_published", "is_unaligned"} <= set(found)
    assert found["walk"] == "translate.c" and len(found) > 240


def test_every_plant_applies_and_every_harness_has_one() -> None:
    assert len({one.name for one in HARNESSES}) == len(HARNESSES)
    for harness in HARNESSES:
        assert harness.plants, harness.name
        for plant in harness.plants:
            with checking.library_with(plant):
                pass


def test_without_the_tool_one_sentence_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> Cbmc:
        raise TargetUnavailable("There is no CBMC.")

    monkeypatch.setattr(verifying, "cbmc", none)
    assert verifying.main(["region"]) == 2
    assert capsys.readouterr().err.strip() == "There is no CBMC."
    assert verifying.main(["no such harness"]) == 2


def test_versions(tmp_path: Path) -> None:
    assert major("6.6.0 (cbmc-6.6.0)") == 6
    assert major("none") == 0
    assert started((str(tmp_path / "nothing"),)) is None
    assert started(("true",)) is None
