"""Edits of model/memslots, and of the trees."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

PROTOCOL = "model/memslots/protocol.py"
ARRAY = "model/memslots/array.py"
TREE = "model/rbtree.py"
INTERVALS = "model/interval_tree.py"

EDITS = (
    Breakage(
        name="exchange-what-is-gone",
        file=PROTOCOL,
        old="present = change.invalid if change.goes_through_invalid() else change.old",
        new="present = change.old",
        sentence="The second set is told to exchange the old copy, though by then it has the INVALID one.",
        expected=("TWOSETS.AGREE.MOVE",),
    ),
    Breakage(
        name="roll-back-by-a-swap",
        file=PROTOCOL,
        old="return (yield from self.activate(state, change.invalid, change.old))",
        new="return (yield from self.swap(state))",
        sentence="A change that failed is rolled back in one set; the other keeps the INVALID copy.",
        expected=("TWOSETS.AGREE.FAILED_DELETE",),
    ),
    Breakage(
        name="no-invalid-on-the-way",
        file=PROTOCOL,
        old="return self.kind == DELETE or self.kind == MOVE",
        new="return self.kind == DELETE",
        sentence="A move no longer marks the slot INVALID first.",
        expected=("TWOSETS.PREPARE.MOVE",),
    ),
    Breakage(
        name="generation-of-the-other-set",
        file=PROTOCOL,
        old="generation = state.active.generation + IN_PROGRESS\n",
        new="generation = state.inactive.generation + IN_PROGRESS\n",
        sentence="The generation goes on from the set that is published, not from the one that was in use.",
        expected=("TWOSETS.GENERATION.MOVE",),
    ),
    Breakage(
        name="only-younger-generations",
        file=PROTOCOL,
        old="if cache.generation != generation:",
        new="if cache.generation < generation:",
        sentence="A virtual CPU drops its cache only for a larger generation; one in progress is larger than the next.",
        expected=("TWOSETS.VCPU.MOVE",),
    ),
    Breakage(
        name="last-half-left-out",
        file=ARRAY,
        old="return self.place_between(gfn, middle + 1, end)",
        new="return self.place_between(gfn, middle + 2, end)",
        sentence="The search by halving skips the entry behind the middle.",
        expected=("ARRAY.SEARCH", "ARRAY.PLACE"),
    ),
    Breakage(
        name="cache-behind-the-end",
        file=ARRAY,
        old="        if self.last_used >= self.used:\n",
        new="        if self.last_used > self.used:\n",
        sentence="After a delete the array's cache may point at the entry behind the last.",
        expected=("ARRAY.DELETE", "ARRAY.SEARCH"),
    ),
    Breakage(
        name="between-keeps-its-parent",
        file=TREE,
        old="        if between is not None:\n            between.parent = upper\n",
        new="",
        sentence="The subtree that changes sides in a rotation still points at its old parent.",
        expected=("RBTREE.TURN",),
    ),
    Breakage(
        name="parent-of-the-right-side",
        file=TREE,
        old="            successor.right = node.right\n            successor.right.parent = successor\n",
        new="            successor.right = node.right\n",
        sentence="The right side of an erased node still points at it as its parent.",
        expected=("RBTREE.ERASE.FAR",),
    ),
    Breakage(
        name="sibling-made-black",
        file=TREE,
        old="sibling.red, parent.red, outer.red = parent.red, False, False",
        new="sibling.red, parent.red, outer.red = False, False, False",
        sentence="The last rotation after an erasure does not hand on the colour of the one that was on top.",
        expected=("RBTREE.ERASE.REPAIR.LEFT",),
    ),
    Breakage(
        name="own-start-asked-first",
        file=INTERVALS,
        old='''    answer or nothing is: everything right of it starts later still.
    """
    if node.left is not None and node.left.summary >= first:
        return leftmost_below(node.left, first, last)
    if node.value.first > last:
        return None
''',
        new='''    answer or nothing is: everything right of it starts later still.
    """
    if node.value.first > last:
        return None
    if node.left is not None and node.left.summary >= first:
        return leftmost_below(node.left, first, last)
''',
        sentence="A search stops at a node behind the range without a look at its left side.",
        expected=("ITREE.SEARCH.STEP",),
    ),
    Breakage(
        name="above-without-a-look",
        file=INTERVALS,
        old="    if above.value.first > last:\n        return None\n",
        new="",
        sentence="Going on upwards takes a node that begins behind the range.",
        expected=("ITREE.NEXT.ABOVE",),
    ),
    Breakage(
        name="slot-without-its-flags",
        file="model/memslots/machine.py",
        old="            flags=request.flags,\n",
        new="            flags=request.flags if request.version == 2 else request.flags % 2,\n",
        sentence="The first form of the call loses the flag that makes a slot read-only.",
        expected=("REFINES.SET_REGION.ACCEPTED.TREE",),
    ),
)
