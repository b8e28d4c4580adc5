#!/usr/bin/env python3
"""How long a start takes: from `exec` to `listening`, and to the first response.

    host/benches/start.py target/release/innkeeper [--runs N] [--at-most MS MS] [--out FILE]

Each run starts the program twice: on an empty code cache, where it compiles and checks the
built-in guest, and with what the first left there. Needs Linux and Python 3.9. Prints the
medians; writes one row a start as CSV. `--at-most` fails if a median to the first response is
above these figures, in milliseconds: on an empty cache, and on a full one.
"""

import argparse
import csv
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = ["run", "cache", "listening_ms", "response_ms"]
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"


def start(program, site, cache):
    """Milliseconds to `listening` and to the end of the first response."""
    command = [program, site, "--listen", "127.0.0.1:0", "--code-cache", cache]
    began = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if match := re.search(r"listening on http://127.0.0.1:(\d+)", line):
                    break
            else:
                sys.exit(f"{program} does not start")
            listening = time.monotonic()
            with socket.create_connection(("127.0.0.1", int(match[1]))) as client:
                client.sendall(REQUEST)
                response = b"".join(iter(lambda: client.recv(1 << 16), b""))
            answered = time.monotonic()
        finally:
            process.terminate()
    if not response.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"not 200: {response[:100]!r}")
    return round((listening - began) * 1000, 2), round((answered - began) * 1000, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--at-most", type=float, nargs=2, metavar=("EMPTY", "FULL"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site")
        site.mkdir()
        (site / "index.html").write_text("<!doctype html><title>start</title>\n")
        for run in range(1, options.runs + 1):
            cache = Path(folder, f"cache-{run}")
            cache.mkdir(mode=0o700)
            for state in ("empty", "full"):
                rows.append([run, state, *start(options.program, str(site), str(cache))])
    if options.out:
        with options.out.open("w", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
    is_slow = False
    for state, most in zip(("empty", "full"), options.at_most or (None, None)):
        listening, response = (
            statistics.median(row[column] for row in rows if row[1] == state) for column in (2, 3)
        )
        note = ""
        if most is not None and response > most:
            is_slow, note = True, f", above {most:g} ms"
        print(f"{state} code cache: listening {listening:.1f} ms, response {response:.1f} ms{note}")
    sys.exit(is_slow)


if __name__ == "__main__":
    main()
