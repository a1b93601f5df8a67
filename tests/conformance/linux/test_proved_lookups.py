"""The lookup of a slot in shipped kvm.ko equals the model; and with a planted bug it does not, as a case shows."""

from __future__ import annotations

import re

import pytest

from conformance.targets.linux.proved.lookup import ENDS, OF_GUEST, OF_VCPU
from conformance.targets.linux.proved.modules import DIFFERS, EQUAL, judge, subjects_of
from tests.conformance.linux.proving import VERSIONS, Line, judged, listing, module

FUNCTIONS = [OF_GUEST, OF_VCPU]
BUILDS = [("5.10", OF_GUEST), ("6.1", OF_GUEST), ("6.1", OF_VCPU), ("7.2", OF_VCPU)]

# EQUAL -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_lookup_equals_the_model(version: str, function: str) -> None:
    verdict = judged("kvm", version, function)
    assert verdict.status == EQUAL, verdict
    assert ("place_between" if version == "5.10" else "holding_below") in verdict.model


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.10", "6.1"])
def test_a_slot_that_wraps_would_be_found_otherwise(version: str) -> None:
    """The hypothesis is needed: without it there is a case, and it is run on both sides."""
    [subject] = subjects_of("kvm", OF_GUEST)
    _, file, layout = module("kvm.ko", version)
    [deviation] = judge(subject, file, layout).deviations
    assert deviation["given"] == ENDS.name and deviation["differs"] and deviation["case"]


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def lines_of(version: str, function: str) -> list[Line]:
    return listing("kvm", version, function)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "function"), BUILDS)
def test_no_comparison_may_be_another(version: str, function: str) -> None:
    jumps = {one.at: one.strict() for one in lines_of(version, function)}
    wrong = {at: code for at, code in jumps.items() if code is not None}
    assert len(wrong) >= 4
    for at, code in wrong.items():
        verdict = judged("kvm", version, function, {(function, at): code})
        assert verdict.status == DIFFERS and verdict.case, (hex(at), verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "function"), BUILDS)
def test_no_field_of_a_slot_may_be_another(version: str, function: str) -> None:
    """Where a slot's pages are added to its first, the first is added once more."""
    layout = module("kvm.ko", version)[2]
    first, pages = layout.offset("slot.first"), layout.offset("slot.pages")
    places = [one for one in lines_of(version, function) if one.words.startswith("ADD R") and one.looks_at(pages)]
    assert len(places) == 2
    for one in places:
        verdict = judged("kvm", version, function, {(function, one.at): one.with_distance(pages, first)})
        assert verdict.status == DIFFERS and verdict.case, (one, verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "function"), [one for one in BUILDS if one[0] != "5.10"])
def test_no_side_of_the_tree_may_be_the_other(version: str, function: str) -> None:
    layout = module("kvm.ko", version)[2]
    left, right = layout.offset("node.left"), layout.offset("node.right")
    places = {
        (one, old): new
        for one in lines_of(version, function)
        for old, new in ((left, right), (right, left))
        if re.fullmatch(rf"MOV (R\w+),qword ptr \[\1 \+ {old:#x}\]", one.words)
    }
    assert len(places) == 2
    for (one, old), new in places.items():
        verdict = judged("kvm", version, function, {(function, one.at): one.with_distance(old, new)})
        assert verdict.status == DIFFERS and verdict.case, (one, verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "function"), BUILDS)
def test_what_is_to_be_remembered_is_written(version: str, function: str) -> None:
    stores = [one for one in lines_of(version, function) if re.match(r"MOV [dq]word ptr \[R(?!SP)", one.words)]
    assert len(stores) == (3 if function == OF_VCPU else 1)
    for one in stores:
        verdict = judged("kvm", version, function, {(function, one.at): one.nothing()})
        assert verdict.status == DIFFERS and "not written" in verdict.sentence, (one, verdict)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["6.1", "7.2"])
def test_the_places_of_the_other_set_are_not_taken(version: str) -> None:
    """Which of its two places in trees a slot is found by is what the set says."""
    number = module("kvm.ko", version)[2].offset("set.number")
    [place] = [one for one in lines_of(version, OF_GUEST) if one.looks_at(number)]
    zero = b"\x48\x31\xd2".ljust(len(place.code), b"\x90")  # xor %rdx,%rdx
    assert place.words.startswith("MOVSXD RDX")
    assert judged("kvm", version, OF_GUEST, {(OF_GUEST, place.at): zero}).status != EQUAL


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.10", "6.1", "7.2"])
def test_another_flag_is_not_the_mode(version: str) -> None:
    """The address space is that of system management mode: `shr $6,%eax`, or `shr %eax`."""
    [place] = [one for one in lines_of(version, OF_VCPU) if one.words.startswith("SHR EAX,") and one.at < 0x20]
    other = place.code[:2] + b"\x05" if len(place.code) == 3 else b"\x90\x90"
    assert judged("kvm", version, OF_VCPU, {(OF_VCPU, place.at): other}).status != EQUAL
