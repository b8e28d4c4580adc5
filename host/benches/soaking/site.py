"""A site whose files have versions, and what it held at any moment.

Each content tells its path, its version and its length in every record of 64 bytes, so
that an answer that is stale, torn or cut is seen.
"""

import functools
import math
import multiprocessing
import os
import random
import time

RECORD = 64

# Versions of a file of which the times are known. Files are edited rarely enough for that
# to be more than a client waits for its answer.
REMEMBERED = 8
REST_SECONDS = 3

FIXED, RENAMED, REWRITTEN, FLEETING = "fixed", "renamed", "rewritten", "fleeting"

# Path, what becomes of it, records.
FILES = (
    [(f"/fixed/{number}.txt", FIXED, 1 + 7 * number) for number in range(6)]
    + [(f"/renamed/{number}.css", RENAMED, 2 + 20 * number) for number in range(8)]
    + [("/renamed/index.html", RENAMED, 60), ("/renamed/large.bin", RENAMED, 5000)]
    + [(f"/rewritten/{number}.js", REWRITTEN, 4 + 60 * number) for number in range(4)]
    + [(f"/fleeting/{number}.txt", FLEETING, 30) for number in range(3)]
)


@functools.lru_cache(maxsize=200)
def content(number, version):
    """What a file holds in a version; None if there is none then."""
    path, what, base = FILES[number]
    if what == FLEETING and version % 2:
        return None
    # Any two versions in a row differ in length.
    records = base + version * 7 % 16
    about = f"{path} version {version} of {records} records"
    return b"".join(
        f"{about}, record {place} ".ljust(RECORD - 1, ".").encode() + b"\n"
        for place in range(records)
    )


class Site:
    """The files, and when each of their last versions came; shared by all processes."""

    def __init__(self, root):
        self.root = root
        count = len(FILES)
        self.newest = multiprocessing.Array("q", count, lock=False)
        self.begun = multiprocessing.Array("d", count * REMEMBERED, lock=False)
        self.finished = multiprocessing.Array("d", count * REMEMBERED, lock=False)
        for number in range(count):
            where = self.place(number)
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(content(number, 0))

    def place(self, number):
        return self.root / FILES[number][0][1:]

    def edit(self, number):
        """Brings the next version of a file."""
        what = FILES[number][1]
        version = self.newest[number] + 1
        at = number * REMEMBERED + version % REMEMBERED
        self.finished[at] = math.inf
        self.begun[at] = time.monotonic()
        self.newest[number] = version
        where, data = self.place(number), content(number, version)
        if data is None:
            where.unlink()
        elif what == REWRITTEN:
            # In two writes, so that there is time for a reader between them.
            with open(where, "r+b", buffering=0) as file:
                half = len(data) // 2 // RECORD * RECORD
                file.write(data[:half])
                time.sleep(random.random() / 5)
                file.write(data[half:])
                file.truncate()
        else:
            new = where.with_name(f".{where.name}.new")
            new.write_bytes(data)
            os.replace(new, where)
        self.finished[at] = time.monotonic()

    def edit_one(self):
        """Edits a file that had its rest; whether it found one."""
        for number in random.sample(range(len(FILES)), len(FILES)):
            at = number * REMEMBERED + self.newest[number] % REMEMBERED
            if FILES[number][1] != FIXED and time.monotonic() > self.finished[at] + REST_SECONDS:
                self.edit(number)
                return True
        return False

    def versions(self, number, asked, answered, behind):
        """The versions that an answer may have that was asked for and had at these times,
        if the server may be so many seconds behind; the newest first."""
        found = []
        version = self.newest[number]
        while True:
            at = number * REMEMBERED + version % REMEMBERED
            if self.begun[at] <= answered:
                found.append(version)
            if version == 0 or len(found) > REMEMBERED - 3 or self.finished[at] < asked - behind:
                return found
            version -= 1
