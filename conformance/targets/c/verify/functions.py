"""Which functions of the library the harnesses look at: by its source, and by what CBMC can come to from each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent / "src"

# A definition at the beginning of a line: type, name, arguments, and the brace that begins its body.
DEFINITION = re.compile(r"^(?:[A-Za-z_]\w*[ *]+)+\**(\w+)\([^;{}]*?\)\n\{", re.MULTILINE)

HINTS = "written eight bytes at a time where a number says: not decided with two entries in 20 minutes"
POOL = "blocks of unlike sizes from an allocator, as bytes: not decided with two blocks in 5 minutes"
VIEW = "arrays that grow, as bytes: not decided with two slots in 5 minutes"
MAP = "a whole map, whose lists of slots take many turns: not decided with two changes in 7 minutes"
TABLE = "a whole table: not tried beyond its parts"
QUEUE = "a chain of pointers: of 3 entries and 2 changes not all planted bugs are decided in 150 s"
FILLED = "fills hints, which is not decided; that they are moved rightly is proved"
MOVED = "hints are moved, which is proved; which ones these are: not tried"
SPOT = "from entry to entry backwards, by items, which are numbers that become pointers: not tried"
ITEM = "a number that becomes a pointer: beyond the solver"
SHORT = "one or two lines: not tried"
RUN = "two searches by seek_page, which is proved; what it makes of them: not tried"
LISTS = "all slots one by one into the caller's array: not decided with two slots in 15 minutes"
ACCESS = "page by page through the caller's function: not decided with three pages in 20 minutes"

# What no harness reaches, each with the reason; some of it is replaced by what it promises. None of it is proved of
# object code either. All of it is the subject of fuzzing, sanitizers and tests.
NOT_REACHED: dict[str, str] = {
    name: why
    for why, names in (
        (HINTS, "hints_of fill_hints widest_gap hint_part has_overlap hint_block make_directory index_seal"),
        (POOL, "pool_init block_size block_new largest_room unlist take_free room_to_keep"),
        (POOL, "pool_free_retired pool_drop pool_keep_retired pool_keep_spare index_clear index_release_spare"),
        (POOL, "block_free pool_take pool_give retire"),
        (FILLED, "hint_inserted"),
        (MOVED, "hint_removed"),
        (SPOT, "place_for"),
        (ITEM, "entry_item item_of"),
        (SHORT, "is_owner published_view private_view"),
        (RUN, "log_next_run"),
        (VIEW, "item_for use_later_ids make_id_room view_copy_id view_follow take_out insert_slot open_at"),
        (VIEW, "guest_entry host_entry exchange_entry remove_slot exchange_slot view_replace index_find"),
        (MAP, "map_is_bad edited_size gpamap_create free_all_slots gpamap_destroy gpamap_reader_create"),
        (MAP, "gpamap_reader_destroy gpamap_enter free_slot list_edited next_edited copy_ids free_slots"),
        (MAP, "forget_changes publish take_back make_change gpamap_begin gpamap_commit gpamap_abort change_slot"),
        (MAP, "gpamap_set_region gpamap_create_guest_memfd"),
        (LISTS, "gpamap_slots gpamap_hva_range"),
        (ACCESS, "mark_written note_access gpamap_access"),
        (QUEUE, "enqueue dequeue enqueue_again went private_index free_chain table_publish_once table_publish"),
        (QUEUE, "table_take_back gpamap_table_begin gpamap_table_commit gpamap_table_abort"),
        (TABLE, "table_use put unput pull open_range is_access counts_from described table_is_bad"),
        (TABLE, "gpamap_table_create gpamap_table_destroy is_no_entry describe"),
        (TABLE, "gpamap_table_replace gpamap_table_entries gpamap_table_reader_create gpamap_table_reader_destroy"),
        (TABLE, "gpamap_table_enter gpamap_table_lookup gpamap_table_lookup_again gpamap_table_range"),
        (TABLE, "gpamap_table_segments mapping_of mapping_last"),
        (TABLE, "gpamap_table_translate gpamap_table_add gpamap_table_remove gpamap_table_remove_range spot_of"),
        (TABLE, "table_init table_take table_fill table_clear table_drop table_walked"),
    )
    for name in names.split()
}


def functions_of_library() -> dict[str, str]:
    """All functions of the library, each with the name of its file."""
    return {
        found.group(1): file.name
        for file in sorted(SOURCE.glob("*.[ch]"))
        for found in DEFINITION.finditer(file.read_text())
    }


def looked_at(listed: list[dict[str, Any]], harness: Path) -> tuple[str, ...]:
    """The functions of the library that can be come to, with their bodies, by what `--list-goto-functions` tells.

    It tells names alone. What the harness's own file defines under such a name is a promise, and not the function.
    """
    with_body = {
        str(one["name"]) for part in listed for one in part.get("functions", ()) if one.get("isBodyAvailable") is True
    }
    own = set(DEFINITION.findall(harness.read_text()))
    return tuple(sorted((with_body - own) & set(functions_of_library())))


def table_of(by_harness: dict[str, tuple[str, ...]]) -> str:
    """Function by function, the harnesses that look at it: a table in Markdown."""
    rows = ["| file | function | harnesses |", "|---|---|---|"]
    for name, file in functions_of_library().items():
        harnesses = [harness for harness, functions in by_harness.items() if name in functions]
        said = ", ".join(harnesses) or f"none: {NOT_REACHED.get(name, 'not said why')}"
        rows.append(f"| {file} | `{name}` | {said} |")
    return "\n".join(rows)


def unreached(by_harness: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The functions that no harness looks at although none is said to be missing, or although it says so."""
    reached = {name for functions in by_harness.values() for name in functions}
    return tuple(name for name in functions_of_library() if (name in reached) == (name in NOT_REACHED))
