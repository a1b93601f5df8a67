"""z3 says by itself when it is asked for something that makes no sense.

z3's Python functions ask after every single call whether it failed, which takes as long as the call. While values are
explored they do not: z3 calls `_note` where something fails, and whoever uses an answer calls `raise_complaint` first.
So no failure goes unnoticed, it is only told a little later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import z3

_complaints: list[str] = []


def _note(context: Any, code: int) -> None:
    if z3.z3core.Elementaries.Check is _unasked:  # elsewhere z3's own functions ask, and raise it themselves
        _complaints.append(f"z3 refused a call (error {code})")


def _unasked(self: Any, context: Any) -> None:
    """In place of the question that follows each call."""


@contextmanager
def told_by_z3() -> Iterator[None]:
    """Inside, z3 tells of failures and is not asked. They are raised at the end if nobody has done it before."""
    context = z3.main_ctx()
    context.eh = z3.Z3_set_error_handler(context.ref(), _note)
    asked = z3.z3core.Elementaries.Check
    z3.z3core.Elementaries.Check = _unasked
    try:
        yield
    except BaseException:
        _complaints.clear()  # whatever failed, there is an exception already
        raise
    finally:
        z3.z3core.Elementaries.Check = asked
    raise_complaint()


def raise_complaint() -> None:
    """Raise z3's Z3Exception if something has failed since this was last asked."""
    if _complaints:
        complaints = list(_complaints)
        _complaints.clear()
        raise z3.Z3Exception("; ".join(complaints))
