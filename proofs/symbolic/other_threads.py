"""z3's terms may be let go by any thread.

z3 itself is only for one thread at a time, and we use it from one. But Python collects cycles of objects in whatever
thread runs when it is time to (one that draws a progress bar, one that receives what a test worker is sent), and terms
among them tell z3 that they are not needed any more, while another thread is inside z3: the process ends. z3 can be
told to expect that.
"""

from __future__ import annotations

import z3


def expect_other_threads() -> None:
    """From here on, terms of the main context that there is now may be let go by threads that did not make them."""
    z3.Z3_enable_concurrent_dec_ref(z3.main_ctx().ref())
