"""Edits of the C library."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

SOURCES = "conformance/targets/c/src/"

EDITS = (
    Breakage(
        name="c-search-keeps-what-it-ruled-out",
        file=f"{SOURCES}search.c",
        old="low += entries[low + half - 1].reach < address ? half : 0;",
        new="low += entries[low + half - 1].reach < address ? half - 1 : 0;",
        sentence="The search by halving keeps the entry that it has just ruled out.",
        expected=("c:search",),
    ),
    Breakage(
        name="c-gpa-wrap-of-the-last-byte",
        file=f"{SOURCES}region.c",
        old="if (region->gpa + region->size < region->gpa)",
        new="if (region->size && region->gpa + region->size - 1 < region->gpa)",
        sentence="A slot may end at the last guest address, where kernels refuse it.",
        expected=("c:region-request",),
    ),
    Breakage(
        name="c-nothing-from-zero-on",
        file=f"{SOURCES}translate.c",
        old="if (count == room || (count && !address))",
        new="if (count == room || !address)",
        sentence="A range that begins at address 0 and takes more than one segment is not translated.",
        expected=("c:walk",),
    ),
    Breakage(
        name="c-invalidation-of-nothing",
        file=f"{SOURCES}message.c",
        old="\tif (!message->size)\n\t\treturn;\n\tif (last >= message->iova) {",
        new="\tif (last >= message->iova) {",
        sentence="An invalidation of no bytes is taken for one that goes round the whole space.",
        expected=("c:message-effects",),
    ),
    Breakage(
        name="c-log-word-of-the-count",
        file=f"{SOURCES}log.c",
        old="atomic_init(&log->words[nwords - 1], UINT64_MAX >> (WORD_PAGES - npages % WORD_PAGES));",
        new="atomic_init(&log->words[nwords - 1], UINT64_MAX >> (npages % WORD_PAGES));",
        sentence="A new log's last word has as many pages as it should lack.",
        expected=("c:log-begin",),
    ),
    Breakage(
        name="c-reach-of-the-first-behind",
        file=f"{SOURCES}edit.c",
        old="\tfor (next = at + 1; next <= count && entries[next].reach < new.reach; next++)\n",
        new="\tif ((next = at + 1) <= count && entries[next].reach < new.reach)\n",
        sentence="An inserted range that reaches far is told to the entry behind it and to no other.",
        expected=("c:insert",),
    ),
)
