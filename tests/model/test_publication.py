"""No order of steps shows a reader of libgpamap anything but what it may see; each planted bug shows it something."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from model.libgpamap.__main__ import main
from model.libgpamap.explore import RELAXED, RELEASE, Finding, Orders
from model.libgpamap.heap import C_FUNCTIONS, Ref
from model.libgpamap.index import Block, Entry, Index, Pool
from model.libgpamap.scenes import ABORT, BEGIN, COMMIT, TRACES, all_reports, enumerated
from model.libgpamap.writer import Ids, Side, Writer, space_of

SOURCES = Path(__file__).parents[2] / "conformance" / "targets" / "c" / "src"
SITUATIONS = {
    "a reader enters between publication and the end of the wait",
    "a reader is inside what was published before",
    "free while a reader is inside",
    "the writer waits",
    "the writer waits for a reader of the new side",
    "write while a reader is inside",
}


@pytest.mark.slow
@pytest.mark.parametrize(("readers", "stays", "with_failures"), [(1, 3, True), (2, 2, False)])
@pytest.mark.parametrize("keeps", [0, 1])
def test_every_order_is_right(readers: int, stays: int, with_failures: bool, keeps: int) -> None:
    situations: set[str] = set()
    traces = 0

    def new_writer(count: int) -> Writer:
        return Writer(range(count), keeps=keeps)

    for name, report in all_reports(TRACES, new_writer, readers, stays, with_failures):
        assert report.findings == [], name
        situations |= report.situations
        traces += 1
    assert situations == SITUATIONS
    assert traces > (100 if with_failures else 10)


def test_help_explores_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and "--readers" in capsys.readouterr().out


def test_a_bound_of_ones_own_is_explored(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--readers", "1", "--stays", "1", "--no-failures"]) == 0
    assert f"1 reader(s), 1 stays each: {len(TRACES)} traces" in capsys.readouterr().out
    for wrong in (["--stays", "1"], ["--readers", "0"]):
        with pytest.raises(SystemExit):
            main(wrong)


def test_steps_are_named_after_c_functions() -> None:
    """Each function that is modelled is defined in the C sources, and each modelled step of readers, too."""
    text = "\n".join(file.read_text() for file in (*SOURCES.glob("*.c"), *SOURCES.glob("*.h")))
    for name in (*C_FUNCTIONS, "gate_enter", "gpamap_leave"):
        assert re.search(rf"^[a-z].*\b{name}\([^;]*\)\n{{", text, re.MULTILINE), f"{name} is not in the C library"
    assert len(C_FUNCTIONS) > 25


def test_the_memory_orders_are_those_of_the_c_library() -> None:
    """The accesses to `inside` and `published`, in the order in which they are written in gate.c."""
    text = (SOURCES / "gate.c").read_text()
    found = re.findall(r"(store|load)_explicit\(&[^;]*?(inside|published)\b[^;]*?memory_order_(\w+)\)", text)
    orders = Orders()
    assert found == [
        ("load", "inside", RELAXED),
        ("store", "inside", orders.enter_store),
        ("load", "published", orders.enter_load),
        ("load", "inside", RELAXED),
        ("store", "inside", orders.leave_store),
        ("load", "inside", orders.wait_load),
        ("load", "inside", orders.wait_load),
        ("store", "published", orders.publish_store),
    ]


# PLANTED BUGS ----------------------------------------------------------------------------------------------------

ORDERS = {
    "the reader's store may be late": Orders(enter_store=RELEASE),
    "the reader's load is not sequentially consistent": Orders(enter_load="acquire"),
    "the reader's load tells nothing": Orders(enter_load=RELAXED),
    "the reader loads first": Orders(loads_first=True),
    "the reader leaves without release": Orders(leave_store=RELAXED),
    "the publication is relaxed": Orders(publish_store=RELAXED),
    "the publication may be late": Orders(publish_store=RELEASE),
    "the writer's loads are relaxed": Orders(wait_load=RELAXED),
    "the writer's loads are not sequentially consistent": Orders(wait_load="acquire"),
    "stays have no numbers": Orders(counts=False),
    "the writer waits for whoever is inside": Orders(until_even=True),
}


def found_by(new_writer: Callable[[int], Writer], orders: Orders | None = None) -> Finding | None:
    """The first finding, in traces without failures, then in all."""
    for trace in TRACES:
        for finding in enumerated(trace, lambda: new_writer(1), 1, 2, orders).findings:
            return finding
    for _, report in all_reports(TRACES, new_writer, 1, 2, True):
        for finding in report.findings:
            return finding
    return None


@pytest.mark.parametrize("name", ORDERS)
def test_a_planted_bug_in_the_orders_is_found(name: str) -> None:
    finding = found_by(lambda readers: Writer(range(readers)), ORDERS[name])
    assert finding is not None and finding.story


class DoesNotWait(Writer):
    def wait_for(self, reader: int) -> None:
        pass


class WaitsOnlyForTheFirstReader(Writer):
    def gate_publish(self, side: int) -> None:
        self.readers = self.readers[:1]
        super().gate_publish(side)


class LooksOnlyOnce(Writer):
    """Without the loop: who is inside is not waited for."""

    def wait_for(self, reader: int) -> None:
        self.heap.note("look", reader)


class WaitsBeforeItPublishes(Writer):
    def gate_publish(self, side: int) -> None:
        for reader in self.readers:
            self.wait_for(reader)
        self.store_published(side)
        self.heap.note("return", side)


class FollowsBeforeItWaits(Writer):
    def publish(self) -> None:
        view, other = self.private_view(), self.published_view()
        self.seal(view)
        self.show(view)
        self.store_published(1 - self.published)
        self.follow(other, view)
        self.show(other)
        for reader in self.readers:
            self.wait_for(reader)
        self.heap.note("return", 1 - self.published)
        self.published = 1 - self.published
        self.free_slots(self.went)
        self.forget_changes()
        self.pool.pool_free_retired()


class FreesBlocksBeforeItWaits(Writer):
    def store_published(self, side: int) -> None:
        super().store_published(side)
        self.pool.pool_free_retired()


class FreesSlotsBeforeItWaits(Writer):
    def store_published(self, side: int) -> None:
        super().store_published(side)
        self.free_slots(self.went)
        self.went.clear()


class PublishesBeforeItSeals(Writer):
    """Hints are written into blocks that readers have already."""

    def publish(self) -> None:
        seal, edited = self.seal, list(self.edited)
        view = self.private_view()
        self.seal = lambda view: None  # type: ignore[method-assign]
        published = self.store_published

        def store_published(side: int) -> None:
            published(side)
            self.edited = edited
            seal(view)

        self.store_published = store_published  # type: ignore[method-assign]
        super().publish()
        del self.seal, self.store_published


class EditsWhatIsPublished(Writer):
    def private_view(self) -> Side:
        return self.sides[self.published]


class PublishesEachEditOfATransaction(Writer):
    def gpamap_begin(self) -> None:
        pass

    def gpamap_commit(self) -> None:
        pass


class MovesInTwoSteps(Writer):
    def gpamap_set_region(self, word: int, first: int | None, host: int = 0) -> None:
        if first is not None and self.slot_at(self.private_view(), word):
            super().gpamap_set_region(word, None)
        super().gpamap_set_region(word, first, host)


class DoesNotFollow(Writer):
    def follow(self, other: Side, view: Side) -> None:
        self.edited.clear()


class ForgetsTheIdsWhenItFollows(Writer):
    def copy_ids(self, side: Side, model: Side) -> None:
        pass


class ForgetsTheIdsWhenItGoesBack(Writer):
    def take_back(self) -> None:
        view, other = self.private_view(), self.published_view()
        came, self.came = self.came, []
        went, self.went = self.went, []
        super().take_back()
        del view, other, went
        self.free_slots(came)


class KeepsSlotsThatWent(Writer):
    def free_slots(self, slots: list[Ref]) -> None:
        pass


class TakesAStaleLaterIdArray(Writer):
    """What was set aside for a side that then grew itself is still taken when it follows."""

    def make_id_room(self, view: Side, other: Side, word: int) -> None:
        ids = view.by_id[space_of(word)]
        later, ids.later = ids.later, 0
        super().make_id_room(view, other, word)
        ids.later = later


class WithPool(Writer):
    """A writer whose pool has a bug."""

    pool_class: type[Pool] = Pool

    def new_pool(self, largest: int, keeps: int) -> Pool:
        return self.pool_class(self.heap, largest, keeps)


class EditsBlocksInPlace(Pool):
    def own(self, index: Index, place: int, need: int) -> None:
        if self.block(self.places(index)[place][0]).room < need:
            super().own(index, place, need)


class KeepsBlocksFresh(Pool):
    """A block that was published is taken for one that nobody reads."""

    def index_seal(self, index: Index) -> None:
        fresh = set(self.lists.fresh)
        super().index_seal(index)
        self.lists.fresh |= fresh


class SplitsTheSharedBlock(Pool):
    """The left part's entries are cut off in the block that the other side has, too."""

    def split(self, index: Index, place: int, cut: int) -> None:
        left = self.places(index)[place][0]
        super().split(index, place, cut)
        self.heap.write(left, Block(self.block(left).room, self.block(left).entries[:cut]))


class FreesWhatItReplaces(Pool):
    def retire(self, ref: Ref) -> None:
        self.pool_give(ref)


class ForgetsToKeepTheRetired(Pool):
    """After edits were taken back, what they had retired is freed with the next publication."""

    def pool_keep_retired(self) -> None:
        pass


class NeverFreesTheRetired(Pool):
    def pool_free_retired(self) -> None:
        self.lists.retired.clear()


class LosesFreshBlocksWhenItGoesBack(Pool):
    def index_revert(self, index: Index, published: Index) -> None:
        self.lists.fresh.clear()
        super().index_revert(index, published)


class CopiesOnlyTheFirstChange(Pool):
    def note_change(self, index: Index, start: int, end: int) -> None:
        if not index.changed:
            super().note_change(index, start, end)


class CopiesNoMoreThanOnePlace(Pool):
    """Of a split only the left part is copied to the other side."""

    def note_change(self, index: Index, start: int, end: int) -> None:
        super().note_change(index, start, min(end, start + 1))


class KeepsTheGap(Pool):
    """What lies between the first two changes is not copied, also where a third one is in it."""

    def note_change(self, index: Index, start: int, end: int) -> None:
        gap = index.gap_from, index.gap_end
        super().note_change(index, start, end)
        if any(gap):
            index.gap_from, index.gap_end = gap


class LeavesTheGapWherePlacesCame(Pool):
    """Places behind one that came or went are taken for the same."""

    def note_change(self, index: Index, start: int, end: int) -> None:
        shifted, index.shifted = index.shifted, False
        super().note_change(index, start, end)
        index.shifted = shifted


class GrowsWhatIsPublished(Pool):
    """Larger places are given to the other side at once."""

    def make_room(self, index: Index, other: Index) -> None:
        super().make_room(index, other)
        if other.later:
            at = self.places(other)
            self.use_later(other)
            self.write_places(other, at)


class TakesStaleLaterPlaces(Pool):
    def make_room(self, index: Index, other: Index) -> None:
        later, index.later = index.later, 0
        super().make_room(index, other)
        index.later = later


class LosesTheLaterPlaces(Pool):
    """When the second of two allocations fails, the first is not given back."""

    def make_room(self, index: Index, other: Index) -> None:
        free = self.heap.free
        self.heap.free = lambda ref: None  # type: ignore[method-assign]
        try:
            super().make_room(index, other)
        finally:
            self.heap.free = free  # type: ignore[method-assign]


class ForgetsAnEntryOfASplit(Pool):
    def index_insert(self, index: Index, other: Index, entry: Entry) -> None:
        before = index.count
        super().index_insert(index, other, entry)
        if index.count == before + 1 and before:
            self.put(index, before, self.of_place(index, before)[:-1])


WRITERS: tuple[type[Writer], ...] = (
    DoesNotWait,
    LooksOnlyOnce,
    WaitsBeforeItPublishes,
    FollowsBeforeItWaits,
    FreesBlocksBeforeItWaits,
    FreesSlotsBeforeItWaits,
    PublishesBeforeItSeals,
    EditsWhatIsPublished,
    PublishesEachEditOfATransaction,
    MovesInTwoSteps,
    DoesNotFollow,
    ForgetsTheIdsWhenItFollows,
    ForgetsTheIdsWhenItGoesBack,
    KeepsSlotsThatWent,
    TakesAStaleLaterIdArray,
)
POOLS: tuple[type[Pool], ...] = (
    EditsBlocksInPlace,
    KeepsBlocksFresh,
    SplitsTheSharedBlock,
    FreesWhatItReplaces,
    ForgetsToKeepTheRetired,
    NeverFreesTheRetired,
    LosesFreshBlocksWhenItGoesBack,
    CopiesOnlyTheFirstChange,
    CopiesNoMoreThanOnePlace,
    KeepsTheGap,
    LeavesTheGapWherePlacesCame,
    GrowsWhatIsPublished,
    TakesStaleLaterPlaces,
    LosesTheLaterPlaces,
    ForgetsAnEntryOfASplit,
)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_planted_bug_of_the_writer_is_found(writer: type[Writer]) -> None:
    assert found_by(lambda readers: writer(range(readers))) is not None


@pytest.mark.parametrize("pool", POOLS)
def test_a_planted_bug_of_the_blocks_is_found(pool: type[Pool]) -> None:
    class Planted(WithPool):
        pool_class = pool

    assert found_by(lambda readers: Planted(range(readers))) is not None


def test_a_second_reader_is_needed_to_find_that_only_the_first_is_waited_for() -> None:
    def writer() -> Writer:
        return WaitsOnlyForTheFirstReader(range(2))

    assert enumerated(TRACES[0], writer, 2, 1).findings
    assert not enumerated(TRACES[0], lambda: WaitsOnlyForTheFirstReader(range(1)), 1, 2).findings


def test_the_traces_do_what_their_names_say() -> None:
    """Splits, joins, growth and going back are among the steps; transactions begin and end."""
    functions: set[str] = set()
    for trace in TRACES:
        writer = Writer(range(1))
        for call in (*trace.before, *trace.calls):
            if isinstance(call, str):
                {BEGIN: writer.gpamap_begin, COMMIT: writer.gpamap_commit, ABORT: writer.gpamap_abort}[call]()
            else:
                writer.gpamap_set_region(call[0], call[1], 100)
        functions |= {event.function for event in writer.heap.events}
    assert {"split", "join", "remove_place", "make_room", "make_id_room", "index_revert", "index_follow"} <= functions
    assert isinstance(writer.sides[0].by_id[0], Ids)
