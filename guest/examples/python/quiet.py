"""Swallows what a policy prints: a released guest has no output, and printing would trap.

`released.py` imports it, which `make` builds; what `make dev` builds prints.
"""

import io
import linecache
import sys


class Nowhere(io.RawIOBase):
    """A stream that swallows what is written to it."""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        return len(data)


sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(Nowhere()), encoding="utf-8")
# A warning or a traceback that is printed would read its line of source.
linecache.updatecache = lambda *_: []
linecache.checkcache = lambda *_: None
