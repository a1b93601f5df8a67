"""The sorted array and the tree: the same without overlaps, and exactly where they are not."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from conformance.generate.vhost.random_requests import sequence
from model.vhost.differences import ARRAY, ARRAY_U64, CASES, LOOP_2016, TREE, Case, answers, requests
from model.vhost.iotlb import Iotlb, Map, Regions
from model.vhost.machine import DeviceMachine
from model.vhost.sorted_array import ArrayDeviceMachine, NoIotlb, SortedArray, found_by_kernels
from model.vhost.translate import translate, translate_2016
from spec.profile import Profile
from spec.step import step
from spec.units import U64
from spec.vhost.address_map import READ, WRITE
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE, VERSION_1
from spec.vhost.features import SetFeatures
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.translate import MAPPED
from tests.model.vhost_checks import assert_between, assert_container
from tests.model.vhost_requests import small_requests

BYTES = 6  # of the smallest worlds


def both(regions: Any) -> tuple[Iotlb, SortedArray]:
    tree, array = Iotlb(20), SortedArray()
    for number, (first, last) in enumerate(regions):
        for container in (tree, array):
            container.add(first, last, 100 * number, READ + WRITE)
        assert_container(array)
    return tree, array


def same(found: Map | None, other: Map | None) -> bool:
    """Whether two containers found the same region."""
    return (found and (found.first, found.last, found.host)) == (other and (other.first, other.last, other.host))


def test_all_tables_of_a_small_world() -> None:
    """Every table of up to three regions in six bytes, and every byte: without overlaps the two always agree, and each
    disagreement is about a byte that an overlap has to do with.
    """
    all_regions = [(first, last) for first in range(BYTES) for last in range(first, BYTES)]
    apart = together = 0
    for number in range(4):
        for regions in itertools.product(all_regions, repeat=number):
            tree, array = both(regions)
            overlap = any(a[0] <= b[1] and b[0] <= a[1] for a, b in itertools.combinations(regions, 2))
            assert (array.overlap() is not None) == overlap
            for byte in range(BYTES):
                found = tree.find(byte, byte)
                if same(found, array.find(byte, byte)):
                    continue
                assert overlap
                first = next(one for one in tree.in_order() if one.first <= byte <= one.last).first
                starts = [one.first for one in tree.in_order() if one.first <= byte]
                assert first < max(starts) or starts.count(first) > 1
                apart += 1
            together += not overlap
    assert apart > 1000 and together > 500


def test_ranges_over_tables_without_overlaps() -> None:
    """Segments too, everywhere in the space: tree and array, and the loop of 2016 where it does not wrap."""
    for seed in range(1500):
        dice = random.Random(seed)
        at = dice.choice((0, 2**32 - 40, U64 - 100))
        cuts = sorted(dice.sample(range(100), 2 * dice.randrange(1, 6)))
        regions = [(at + first, at + last - 1) for first, last in itertools.pairwise(cuts) if dice.random() < 0.8]
        dice.shuffle(regions)
        tree, array = both(regions)
        assert array.overlap() is None
        for _ in range(12):
            addr, length, room = at + dice.randrange(100), dice.choice((0, 1, 10, 40)), dice.choice((1, 3, 64))
            answer = translate(tree.find, MAPPED, addr, length, READ, room)
            assert translate(array.find, MAPPED, addr, length, READ, room) == answer
            if addr + 2 * length <= U64:
                assert translate_2016(tree.find, MAPPED, addr, length, READ, room) == answer


def test_in_64_bits_only_regions_up_to_the_last_byte_are_lost() -> None:
    for at in (0, 1000, U64 - 20):
        _, array = both([(at, at + 3), (at + 8, at + 19)])
        for byte in range(at, at + 20):
            found = array.find(byte, byte)
            lost = found is not None and found.last == U64 - 1
            assert found_by_kernels(array, byte) is (None if lost else found)
    empty = SortedArray()
    assert found_by_kernels(empty, 0) is None and empty.find(0, 0) is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cases_differ_where_they_say(case: Case) -> None:
    found = answers(case)
    assert {name for name in (LOOP_2016, ARRAY, ARRAY_U64) if found[name] != found[TREE]} == set(case.differs)
    device = NEW_DEVICE
    for request in requests(case):
        device, outcome = step(Profile(), device, request)
    assert outcome == found[TREE]  # the specification is on the side of the tree
    machine = DeviceMachine(Profile())
    assert [machine.apply(request) for request in requests(case)][-1] == found[TREE]


def assert_same_until_they_overlap(machine: ArrayDeviceMachine, profile: Profile, asked: Any) -> int:
    """Compare with the specification as long as no regions overlap. How many requests that was."""
    device = NEW_DEVICE
    for number, request in enumerate(asked):
        if isinstance(request, SetFeatures) and request.features & ACCESS_PLATFORM:
            return number
        device, expected = step(profile, device, request)
        found = machine.apply(request)
        if machine.overlap() is not None:
            return number
        assert found == expected
        assert machine.device() == device
        assert_between(machine)
    return len(asked)


@pytest.mark.slow
def test_devices_with_an_array_are_the_spec_without_overlaps() -> None:
    compared = 0
    for seed in range(400):
        profile = Profile(max_regions=(3, 64)[seed % 2], retirement=("fifo", "lru")[seed % 3 == 0])
        if seed % 2:
            dice = random.Random(seed)
            asked = [one for one in small_requests(dice, 150) if not isinstance(one, WriteMessage | ReadMessage)]
            asked = [SetFeatures(VERSION_1) if isinstance(one, SetFeatures) else one for one in asked]
        else:
            asked = list(sequence(profile, seed, kernel=seed % 4 == 0))
        compared += assert_same_until_they_overlap(ArrayDeviceMachine(profile), profile, asked)
    assert compared > 3000


def test_there_is_no_iotlb() -> None:
    with pytest.raises(NoIotlb):
        ArrayDeviceMachine(Profile()).apply(SetFeatures(features=ACCESS_PLATFORM))


# PLANTED BUGS: in the array ----------------------------------------------------------------------------------------


class OneTooFar(SortedArray):
    """The search that takes the region behind."""

    def place_of(self, address: int) -> int:
        return super().place_of(address) + 1


class EndsTooEarly(SortedArray):
    """The last byte of a region is not found."""

    def find(self, first: int, last: int) -> Map | None:
        found = super().find(first, last)
        return found if found is not None and first < found.last else None


class LowestFirst(SortedArray):
    """The array is in the wrong order."""

    def in_order(self) -> Any:
        return iter(self.entries)


@pytest.mark.parametrize("bug", [OneTooFar, EndsTooEarly, LowestFirst])
def test_a_bug_in_the_array_is_found(bug: type[SortedArray]) -> None:
    class Wrong(ArrayDeviceMachine):
        def new_table(self) -> Regions:
            return bug()

    with pytest.raises(AssertionError):
        for seed in range(200):
            profile = Profile()
            assert_same_until_they_overlap(Wrong(profile), profile, sequence(profile, seed))
