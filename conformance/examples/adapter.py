"""A complete adapter in one file: a small memslot implementation, and the protocol around it. It imports nothing
from gpaspec, so that it can be carried over to any language. The protocol is docs/protocol.md."""

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


def show(backing: str, offset: int) -> Any:
    return {"backing": backing, "offset": hex(offset)} if backing else hex(offset)


class Vm:
    def __init__(self) -> None:
        self.slots: dict[tuple[int, int], Json] = {}  # (space, id) -> {"gpa", "size", "hva", "flags"}

    def set_region(self, slot: int, flags: int, version: int, from_owner: bool, readable: bool, **at: Any) -> Json:
        key, gpa, size, hva = (slot >> 16, slot & 0xFFFF), int(at["gpa"], 16), int(at["size"], 16), place(at["hva"])
        old = self.slots.get(key)
        if not from_owner:
            raise Failed("EIO")
        if version != 1:
            raise Failed("ENOTTY")
        if not readable:
            raise Failed("EFAULT")
        bad_word = key[1] >= PROFILE["user_slots"] or flags > LOG + READONLY or key[0] >= PROFILE["address_spaces"]
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
        self.slots[key] = {"gpa": gpa, "size": size, "hva": hva, "flags": flags}
        return {"done": True}

    def holding(self, space: int, gpa: int) -> Json:
        for (where, _), at in self.slots.items():
            if where == space and at["gpa"] <= gpa < at["gpa"] + at["size"]:
                return at
        raise Failed("EFAULT")

    def lookup(self, space: int, gpa: str, write: bool) -> Json:
        at = self.holding(space, int(gpa, 16))
        if write and at["flags"] & READONLY:
            raise Failed("EACCES")
        backing, start = at["hva"]
        host = show(backing, start + int(gpa, 16) - at["gpa"])
        return {"located": {"host": host, "last": hex(at["gpa"] + at["size"] - 1)}}

    def vcpu_read(self, gpa: str, write: bool = False) -> Json:
        try:
            return {"touched": self.lookup(0, gpa, write)["located"]["host"]}
        except Failed:
            return {"mmio": gpa}

    def vcpu_write(self, gpa: str) -> Json:
        return self.vcpu_read(gpa, write=True)

    def observe(self) -> Json:
        return {"unobservable": "this small implementation keeps no dirty log to show"}


OPERATIONS = ("set_region", "lookup", "vcpu_read", "vcpu_write", "observe")


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


if __name__ == "__main__":
    for line in sys.stdin:
        for answer in answers(json.loads(line)):
            print(json.dumps(answer), flush=True)
