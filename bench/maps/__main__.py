"""`python -m bench.maps`: see docs/bench.md."""

from __future__ import annotations

import sys

from bench.maps.command import main

if __name__ == "__main__":
    sys.exit(main())
