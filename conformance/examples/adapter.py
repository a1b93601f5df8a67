"""A complete adapter in one file: a small memslot implementation, and the protocol (docs/protocol.md) around it.

It imports nothing from gpaspec, so that it can be carried over to any language."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
PAGE, LOG, READONLY = 4096, 1, 2
PROFILE: Json = {
    "user_slots": 32764, "address_spaces": 2, "user_limit": "0x7ffffffff000", "max_gfn": "0xfffffff", "region2": False,
    "guest_memfd": "absent", "memfd_rebind_errno": "EEXIST", "dirty_ring": True, "smallest_dirty_ring": 4096,
}  # fmt: skip


class Failed(Exception):
    """A rejection; its text is the errno."""


def place(host: Any) -> tuple[str, int]:
    """A host address as (backing, offset); the backing is "" for a plain number."""
    return ("", int(host, 16)) if isinstance(host, str) else (host["backing"], int(host["offset"], 16))


def show(host: tuple[str, int], distance: int = 0) -> Any:
    backing, offset = host[0], hex(host[1] + distance)
    return {"backing": backing, "offset": offset} if backing else offset


def ranges(pages: set[int]) -> list[Json]:
    firsts = [page for page in sorted(pages) if page - 1 not in pages]
    lasts = [page for page in sorted(pages) if page + 1 not in pages]
    return [{"first": first, "last": last} for first, last in zip(firsts, lasts, strict=True)]


class Vm:
    def __init__(self) -> None:
        self.slots: dict[tuple[int, int], Json] = {}  # by address space and number

    def call(self, from_owner: bool, readable: bool, version: int = 1, **_: Any) -> None:
        for is_bad, error in ((not from_owner, "EIO"), (version != 1, "ENOTTY"), (not readable, "EFAULT")):
            if is_bad:
                raise Failed(error)

    def set_region(self, slot: int, flags: int, **at: Any) -> Json:
        self.call(**at)
        key, gpa, size, hva = divmod(slot, 65536), int(at["gpa"], 16), int(at["size"], 16), place(at["hva"])
        old = self.slots.get(key)
        bad_word = key[1] >= PROFILE["user_slots"] or key[0] >= PROFILE["address_spaces"] or flags > LOG + READONLY
        bad_range = hva[1] + size > 2**47 - PAGE or gpa + size >= 2**64 or size // PAGE >= 2**31
        if bad_word or bad_range or gpa % PAGE or size % PAGE or hva[1] % PAGE or (not size and not old):
            raise Failed("EINVAL")
        if not size:
            del self.slots[key]
            return {"done": True}
        if old and (old["hva"] != hva or old["size"] != size or (old["flags"] ^ flags) & READONLY):
            raise Failed("EINVAL")
        if not old or old["gpa"] != gpa:
            for other, its in self.slots.items():
                if other != key and other[0] == key[0] and its["gpa"] < gpa + size and gpa < its["gpa"] + its["size"]:
                    raise Failed("EEXIST")
            if gpa + size > 2**40:
                raise Failed("EINVAL")
        dirty = (old and old["dirty"]) or set() if flags & LOG else None
        self.slots[key] = {"gpa": gpa, "size": size, "hva": hva, "flags": flags, "dirty": dirty}
        return {"done": True}

    def get_dirty_log(self, slot: int, buffer_ok: bool, **at: Any) -> Json:
        self.call(**at)
        if slot % 65536 >= PROFILE["user_slots"] or slot // 65536 >= PROFILE["address_spaces"]:
            raise Failed("EINVAL")
        its = self.slots.get(divmod(slot, 65536))
        if not its or its["dirty"] is None or not buffer_ok:
            raise Failed("EFAULT" if its and its["dirty"] is not None else "ENOENT")
        pages, its["dirty"] = its["dirty"], set()
        return {"dirty": ranges(pages), "bitmap_bytes": -(-its["size"] // PAGE // 64) * 8}

    def reach(self, space: int, gpa: int, write: bool) -> Json:
        for (where, _), its in self.slots.items():
            if where == space and its["gpa"] <= gpa < its["gpa"] + its["size"]:
                if write and its["flags"] & READONLY:
                    raise Failed("EACCES")
                return its
        raise Failed("EFAULT")

    def lookup(self, space: int, gpa: str, write: bool) -> Json:
        its = self.reach(space, int(gpa, 16), write)
        host = show(its["hva"], int(gpa, 16) - its["gpa"])
        return {"located": {"host": host, "last": hex(its["gpa"] + its["size"] - 1)}}

    def guest_write(self, gpa: str, length: int) -> Json:
        done: list[Json] = []
        first, end = int(gpa, 16), int(gpa, 16) + length
        while first < end:
            last = min(first | (PAGE - 1), end - 1)
            try:
                its = self.reach(0, first, write=True)
            except Failed:
                return {"written": done, "complete": False}
            if its["dirty"] is not None:
                its["dirty"].add((first - its["gpa"]) // PAGE)
            done.append({"first": hex(first), "last": hex(last), "host": show(its["hva"], first - its["gpa"])})
            first = last + 1
        return {"written": done, "complete": True}

    def observe(self) -> Json:
        return {"unobservable": "this adapter shows its slots by what is written and logged"}


OPERATIONS = ("set_region", "get_dirty_log", "lookup", "guest_write", "observe")


def do(vm: Vm, op: str, **fields: Any) -> Json:
    try:
        answer: Json = getattr(vm, op)(**fields)
        return answer
    except Failed as failure:
        return {"error": str(failure)}


def answers(message: Json) -> Iterator[Json]:
    if message["cmd"] == "start":
        who = {"name": "example", "version": "1", "operations": OPERATIONS, "profile": PROFILE}
        yield {"start": who, "protocol": 1}
    elif message["cmd"] == "config":
        yield {"config": "ok"}
    elif message["cmd"] == "run":
        for vector in message["vectors"]:
            vm = Vm()
            yield {"id": vector["id"], "results": [do(vm, **step) for step in vector["steps"]]}
        yield {"ran": message["batch"], "answers": len(message["vectors"]), "name": "example"}
    elif message["cmd"] == "stop":
        yield {"stop": "ok"}
        sys.exit()


if __name__ == "__main__":
    for line in sys.stdin:
        for answer in answers(json.loads(line)):
            print(json.dumps(answer), flush=True)
