"""Bugs planted by hand in the C library, each of another kind. Whatever judges the library has to find each of them.

A bug is one or more edits of the sources: an old text that occurs exactly once in a file, and a new text.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.target import Environment
from conformance.targets.c import build
from conformance.targets.c.target import LIBRARY_PROFILE, CInProcess
from spec.profile import Profile


@dataclass(frozen=True)
class Edit:
    """Replace the one occurrence of a text in a file of `src`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """A planted bug: its name, its kind, what is wrong in one sentence, and how it is planted."""

    name: str
    kind: str
    sentence: str
    edits: tuple[Edit, ...]


def bug(name: str, kind: str, sentence: str, *edits: tuple[str, str, str]) -> Bug:
    return Bug(name, kind, sentence, tuple(Edit(*edit) for edit in edits))


BUGS: tuple[Bug, ...] = (
    bug(
        "hva-sum-wraps",
        "wrap",
        "hva + size is added in 64 bits, so that a range around the top passes the limit.",
        (
            "region.c",
            "region->size > config->user_limit || region->hva > config->user_limit - region->size",
            "region->hva + region->size > config->user_limit",
        ),
    ),
    bug(
        "gpa-may-end-at-2^64",
        "wrap",
        "The very last guest page can be mapped.",
        (
            "region.c",
            "region->gpa + region->size < region->gpa",
            "region->size && region->gpa + region->size - 1 < region->gpa",
        ),
    ),
    bug(
        "last-gfn-is-refused",
        "off by one at the last page",
        "A slot may not hold the last allowed page.",
        ("region.c", "last >> PAGE_SHIFT > map->config.last_gfn", "last >> PAGE_SHIFT >= map->config.last_gfn"),
    ),
    bug(
        "hva-limit-short-of-a-page",
        "off by one at a limit",
        "A slot may not end at the user limit.",
        (
            "region.c",
            "region->hva > config->user_limit - region->size",
            "region->hva >= config->user_limit - region->size",
        ),
    ),
    bug(
        "one-page-too-many",
        "page count limit",
        "A slot may have 2^31 pages.",
        (
            "region.c",
            "pages_in(region->size) > GPAMAP_MAX_SLOT_PAGES",
            "pages_in(region->size) > GPAMAP_MAX_SLOT_PAGES + UINT64_C(1)",
        ),
    ),
    bug(
        "one-slot-too-many",
        "slot number limit",
        "One more slot number can be used than there are.",
        ("region.c", "id_of(region->slot) >= config->user_slots", "id_of(region->slot) > config->user_slots"),
    ),
    bug(
        "overlap-only-at-the-first-page",
        "overlap test",
        "Only a slot that holds the first new page counts as an overlap.",
        (
            "region.c",
            "view_overlaps(private_view(map), region->slot, region->gpa, last)",
            "view_overlaps(private_view(map), region->slot, region->gpa, region->gpa)",
        ),
    ),
    bug(
        "move-overlaps-itself",
        "overlap with the own old range",
        "A slot cannot be moved by less than its size.",
        (
            "view.c",
            "if (slot_of(entry)->word != word)",
            "if (slot_of(entry)->word || word != UINT32_MAX)",
        ),
    ),
    bug(
        "own-range-ends-the-overlap-test",
        "overlap with the own old range",
        "Where a moved slot meets its own old range, no further slot is looked at.",
        (
            "view.c",
            "\t\tif (slot_of(entry)->word != word)\n\t\t\treturn true;\n",
            "\t\treturn slot_of(entry)->word != word;\n",
        ),
    ),
    bug(
        "reach-of-later-entries",
        "stale cache",
        "A new slot does not raise the running maximum of the entries behind it.",
        (
            "edit.c",
            "for (next = at + 1; next <= count && entries[next].reach",
            "for (next = count + 1; next <= count && entries[next].reach",
        ),
    ),
    bug(
        "second-set-lacks-new-numbers",
        "missing second set",
        "The number of a new slot is known in one of the two views only.",
        ("publish.c", "\tcopy_ids(other, view, map->came);\n", ""),
    ),
    bug(
        "limit-before-overlap",
        "errno order",
        "The limit of the guest's address width is looked at before the other slots.",
        (
            "region.c",
            "\tif (view_overlaps(private_view(map), region->slot, region->gpa, last))\n\t\treturn -EEXIST;\n",
            "",
        ),
        (
            "region.c",
            "last >> PAGE_SHIFT > map->config.last_gfn)\n\t\treturn -EINVAL;\n",
            "last >> PAGE_SHIFT > map->config.last_gfn)\n\t\treturn -EINVAL;\n"
            "\tif (view_overlaps(private_view(map), region->slot, region->gpa, last))\n\t\treturn -EEXIST;\n",
        ),
    ),
    bug(
        "log-before-alignment",
        "errno order",
        "Whether there is a log is looked at before the alignment of the first page.",
        ("dirty.c", "\tif (request->first_page % WORD_PAGES)\n\t\treturn -EINVAL;\n", ""),
        (
            "dirty.c",
            "\tif (request->first_page > log->npages)",
            "\tif (request->first_page % WORD_PAGES || request->first_page > log->npages)",
        ),
    ),
    bug(
        "log-survives-being-off",
        "lifetime of a log",
        "A log that is turned off is kept.",
        (
            "region.c",
            "\tif (!(region->flags & GPAMAP_LOG_DIRTY_PAGES))\n\t\treturn slot;\n",
            "\tif (!(region->flags & GPAMAP_LOG_DIRTY_PAGES) && !(old && old->log))\n\t\treturn slot;\n",
        ),
    ),
    bug(
        "log-lost-in-a-move",
        "lost bitmap",
        "A moved slot begins a new log.",
        ("region.c", "\tif (old && old->log) {", "\tif (old && old->log && region->gpa == old->first) {"),
    ),
    bug(
        "initially-set-is-ignored",
        "mode ignored",
        "New logs always begin with no page.",
        (
            "region.c",
            "log_new(map, pages_in(region->size), map->initially_set)",
            "log_new(map, pages_in(region->size), false)",
        ),
    ),
    bug(
        "manual-protection-is-ignored",
        "mode ignored",
        "Reading a log clears it also where userspace clears by hand.",
        (
            "dirty.c",
            "\tif (map->manual_protect)\n\t\tlog_copy",
            "\tif (map->manual_protect && map->initially_set)\n\t\tlog_copy",
        ),
    ),
    bug(
        "tail-bits",
        "tail bits",
        "A log that begins with all pages has bits past the slot's end.",
        ("log.c", "\t\tif (npages % WORD_PAGES)\n", "\t\tif (npages % WORD_PAGES > WORD_PAGES)\n"),
    ),
    bug(
        "clear-takes-whole-words",
        "clear beyond what was asked for",
        "Clearing a page clears all 64 pages of its word.",
        (
            "log.c",
            "atomic_fetch_and_explicit(&words[i], ~bitmap[i], memory_order_acq_rel)",
            "atomic_store_explicit(&words[i], 0, memory_order_release)",
        ),
    ),
    bug(
        "clear-ignores-the-first-page",
        "clear elsewhere than asked for",
        "Clearing always begins at page 0 of the slot.",
        ("log.c", "&log->words[first_page / WORD_PAGES]", "&log->words[first_page / WORD_PAGES * 0]"),
    ),
    bug(
        "unaligned-last-chunk-is-refused",
        "unaligned last chunk",
        "The pages up to the slot's end cannot be cleared where their number is not a multiple of 64.",
        (
            "dirty.c",
            "request->num_pages % WORD_PAGES && request->num_pages < log->npages - request->first_page",
            "request->num_pages % WORD_PAGES",
        ),
    ),
    bug(
        "read-only-can-be-written",
        "permission",
        "Writes reach read-only slots.",
        ("lookup.c", "return write ? DENIES_WRITE : 0;", "return write ? 0 * DENIES_WRITE : 0;"),
    ),
    bug(
        "delete-ignores-the-space",
        "wrong address space",
        "A delete takes the slot of that number in address space 0.",
        (
            "region.c",
            "view_slot(private_view(map), region->slot)",
            "view_slot(private_view(map), region->size ? region->slot : id_of(region->slot))",
        ),
    ),
    bug(
        "no-op-begins-a-new-log",
        "a no-op changes something",
        "A request that changes nothing begins the log anew.",
        ("region.c", "\t\tif (region->gpa == old->first && region->flags == old->flags)\n\t\t\treturn 0;\n", ""),
        (
            "region.c",
            "\tif (old && old->log) {",
            "\tif (old && old->log && (region->gpa != old->first || region->flags != old->flags)) {",
        ),
    ),
    bug(
        "delete-is-not-validated",
        "missing check",
        "The host address of a delete may be unaligned.",
        ("region.c", "if (is_unaligned(region->hva))", "if (region->size && is_unaligned(region->hva))"),
    ),
    bug(
        "marks-by-guest-page",
        "dirty page offset after a move",
        "The page in the log is counted from the guest address, not from the slot's start.",
        ("lookup.c", "(gpa - slot->first) >> PAGE_SHIFT)", "(gpa >> PAGE_SHIFT) % slot->log->npages)"),
    ),
    bug(
        "marks-only-the-first-page",
        "access across pages",
        "An access that goes on within a slot is taken in one piece, and only its first page is marked.",
        (
            "lookup.c",
            "uint64_t left = GPAMAP_PAGE_SIZE - gpa % GPAMAP_PAGE_SIZE;",
            "uint64_t left = entry_at(view, 0, gpa) ? entry_at(view, 0, gpa)->reach - gpa + 1 : 1;",
        ),
    ),
    bug(
        "hva-range-is-not-clipped",
        "range clipping",
        "The guest range of a host range goes on to the slot's end.",
        ("lookup.c", "last_of(slot) - after", "last_of(slot) - 0 * after"),
    ),
    bug(
        "hva-range-misses-its-last-byte",
        "off by one at an inclusive end",
        "A slot that begins at the last byte of a host range is not found.",
        ("lookup.c", "entry->start <= last;", "entry->start < last;"),
    ),
    bug(
        "read-only-can-change",
        "missing check",
        "An existing slot can become read-only.",
        (
            "region.c",
            "if ((region->flags ^ old->flags) & GPAMAP_READONLY)",
            "if (~region->flags & old->flags & GPAMAP_READONLY)",
        ),
    ),
    bug(
        "move-keeps-the-flags",
        "lost part of a request",
        "A move with new flags keeps the old ones.",
        (
            "region.c",
            "\tslot->flags = region->flags;",
            "\tslot->flags = old && region->gpa != old->first ? old->flags : region->flags;",
        ),
    ),
    bug(
        "ring-leaves-the-logs",
        "missing check",
        "Logs can be read although the map has a dirty ring.",
        (
            "dirty.c",
            "const struct gpamap_get_log *request)\n{\n\tstruct log *log;\n\n\tif (!is_owner(map))\n"
            "\t\treturn -EIO;\n\tif (!request)\n\t\treturn -EFAULT;\n\tif (has_ring(map))",
            "const struct gpamap_get_log *request)\n{\n\tstruct log *log;\n\n\tif (!is_owner(map))\n"
            "\t\treturn -EIO;\n\tif (!request)\n\t\treturn -EFAULT;\n"
            "\tif (has_ring(map) && !log_of(map, request->slot))",
        ),
    ),
    bug(
        "ring-leaves-the-marks",
        "two ways of reporting at once",
        "Logs that began before the dirty ring go on growing.",
        (
            "lookup.c",
            "slot->log && !atomic_load_explicit(&view->map->dirty_ring, memory_order_relaxed)",
            "slot->log && view",
        ),
    ),
)

# What only a reader beside the writer can see.
CONCURRENCY_BUGS: tuple[Bug, ...] = (
    bug(
        "does-not-wait",
        "missing grace period",
        "The writer edits the former view while readers are still in it.",
        ("gate.c", "\t\twait_for(gate, reader);", "\t\tif (!reader->gate)\n\t\t\twait_for(gate, reader);"),
    ),
    bug(
        "edits-what-is-published",
        "wrong set",
        "The writer edits the published view.",
        (
            "publish.c",
            "map->views[published_view(map) == map->views[0]]",
            "map->views[published_view(map) != map->views[0]]",
        ),
    ),
    bug(
        "publishes-after-waiting",
        "missing grace period",
        "The writer waits for readers before it publishes, not after.",
        ("gate.c", "\tatomic_store_explicit(&gate->published, side, memory_order_seq_cst);\n\tfor", "\tfor"),
        (
            "gate.c",
            "\t\twait_for(gate, reader);\n",
            "\t\twait_for(gate, reader);\n\tatomic_store_explicit(&gate->published, side, memory_order_seq_cst);\n",
        ),
    ),
    bug(
        "readers-do-not-tell",
        "missing grace period",
        "A reader does not tell that it is inside.",
        ("gate.c", "now + 1, memory_order_seq_cst);", "now + 2, memory_order_seq_cst);"),
        ("gate.c", "now + 1, memory_order_release);", "now + 2, memory_order_release);"),
    ),
    bug(
        "blocks-freed-before-readers-leave",
        "freed too early",
        "Blocks that an edit has replaced are freed when it is published, with readers in them.",
        (
            "publish.c",
            "\tgate_publish(&map->gate, view);\n",
            "\tpool_free_retired(&map->pool);\n\tgate_publish(&map->gate, view);\n",
        ),
    ),
    bug(
        "blocks-are-not-sealed",
        "edit in place",
        "Blocks that were published are edited with readers in them.",
        ("follow.c", "\t\tindex->places[at].block->fresh = false;\n", ""),
    ),
    bug(
        "move-in-two-steps",
        "not atomic",
        "A move is published as a delete and a create.",
        (
            "region.c",
            "\terror = check_request(&map->config, region);\n",
            "\tif (region->size && !map->begun && view_slot(private_view(map), region->slot) &&\n"
            "\t    region->gpa != view_slot(private_view(map), region->slot)->first) {\n"
            "\t\tstruct gpamap_region gone = {.slot = region->slot};\n\n"
            "\t\t(void)gpamap_set_region(map, 1, &gone);\n"
            "\t}\n"
            "\terror = check_request(&map->config, region);\n",
        ),
    ),
    bug(
        "log-is-read-then-cleared",
        "lost update",
        "A mark between reading a word of the log and clearing it is lost.",
        (
            "log.c",
            "bitmap[i] = atomic_exchange_explicit(&log->words[i], 0, memory_order_acq_rel);",
            "{\n"
            "\t\t\tfor (int turn = 0; turn < 100; turn++)\n"
            "\t\t\t\tthrd_yield();\n"
            "\t\t\tatomic_store_explicit(&log->words[i], 0, memory_order_release);\n"
            "\t\t}",
        ),
        ("log.c", '#include "internal.h"', '#include <threads.h>\n\n#include "internal.h"'),
    ),
    bug(
        "run-ends-before-it-begins",
        "a word is read twice",
        "The first page of a run of dirty pages is looked at again, after a pause in which it may have been taken.",
        (
            "log.c",
            "*last = seek_page(log, *first + 1, false) - 1;",
            "for (int turn = 0; turn < 100; turn++)\n\t\tthrd_yield();\n\t*last = seek_page(log, *first, false) - 1;",
        ),
        ("log.c", '#include "internal.h"', '#include <threads.h>\n\n#include "internal.h"'),
    ),
)

# What a reader of a dirty log would see if the writer took it between two loads: found by programs/dirty_runs.c.
DIRTY_RUN_BUGS: tuple[Bug, ...] = (
    bug(
        "first-page-is-looked-at-again",
        "a word is read twice",
        "The end of a run of dirty pages is sought from its first page on, which may have been taken by then.",
        ("log.c", "seek_page(log, *first + 1, false)", "seek_page(log, *first, false)"),
    ),
)

# The same for the readers of a table.
TABLE_READER_BUGS: tuple[Bug, ...] = (
    bug(
        "table-does-not-wait",
        "missing grace period",
        "A table is edited while readers are still in its former view.",
        ("gate.c", "\t\twait_for(gate, reader);", "\t\tif (!reader->gate)\n\t\t\twait_for(gate, reader);"),
    ),
    bug(
        "table-frees-before-readers-leave",
        "freed too early",
        "Blocks that an edit of a table has replaced are freed when it is published, with readers in them.",
        (
            "table.c",
            "\tgate_publish(&table->gate, view);\n",
            "\tpool_free_retired(&table->pool);\n\tgate_publish(&table->gate, view);\n",
        ),
    ),
    bug(
        "table-is-not-sealed",
        "edit in place",
        "Blocks of a table that were published are edited with readers in them.",
        ("follow.c", "\t\tindex->places[at].block->fresh = false;\n", ""),
    ),
)


class EditDoesNotApply(Exception):
    """The text that a planted bug replaces is not there exactly once: the list is older than the library."""


def plant(one: Bug, base: Path) -> None:
    """Apply the edits of a bug to a copy of the library. Raises EditDoesNotApply."""
    for edit in one.edits:
        file = base / "src" / edit.file
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise EditDoesNotApply(f"{one.name}: {edit.file} has {text.count(edit.old)} times: {edit.old!r}")
        file.write_text(text.replace(edit.old, edit.new))


@contextmanager
def planted_base(one: Bug) -> Iterator[Path]:
    """A copy of the library's sources with this bug, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="gpaspec-planted-") as directory:
        base = Path(directory)
        for part in ("src", "include"):
            shutil.copytree(build.HERE / part, base / part)
        plant(one, base)
        yield base


class Planted(CInProcess):
    """The C library with one of `BUGS`."""

    def __init__(self, one: Bug, profile: Profile = LIBRARY_PROFILE) -> None:
        super().__init__(profile)
        self.bug = one

    def start(self) -> Environment:
        with planted_base(self.bug) as self.base:
            return super().start()


def bug_named(name: str) -> Bug:
    """The planted bug with this name. Raises KeyError."""
    return {one.name: one for one in BUGS}[name]


def planted_target(name: str, profile: Profile = LIBRARY_PROFILE) -> Planted:
    """The library with a planted bug, as a target. Raises KeyError for an unknown name."""
    return Planted(bug_named(name), profile)
