#!/usr/bin/env python3
"""Kept inputs: one a line in seeds/TARGET.txt, one a file in a fuzzer's corpus.

    seeds.py unpack TARGET FOLDER      writes the kept inputs as files
    seeds.py pack TARGET FILE...       adds files to the kept inputs
"""

import hashlib
import pathlib
import re
import sys

SHORT = {"\\": b"\\", "r": b"\r", "n": b"\n", "t": b"\t"}


def read(text):
    """The inputs in a text; lines that begin with # are for people."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    escape = re.compile(rb"\\(x[0-9a-f]{2}|.)")
    byte = lambda found: SHORT.get(found[1].decode()) or bytes.fromhex(found[1][1:].decode())
    return [escape.sub(byte, line.encode("ascii")) for line in lines]


def write(data):
    """An input as a line."""
    named = {value[0]: "\\" + name for name, value in SHORT.items()}
    shown = [named.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data]
    # What begins a comment, and what an editor would take away.
    if shown and shown[0] == "#":
        shown[0] = "\\x23"
    if shown and shown[-1] == " ":
        shown[-1] = "\\x20"
    return "".join(shown)


def main(verb, target, *paths):
    kept = pathlib.Path(__file__).parent / "seeds" / f"{target}.txt"
    inputs = read(kept.read_text()) if kept.exists() else []
    if verb == "unpack":
        folder = pathlib.Path(paths[0])
        folder.mkdir(parents=True, exist_ok=True)
        for data in inputs:
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
    elif verb == "pack":
        added = [pathlib.Path(path).read_bytes() for path in paths]
        new = sorted({data for data in added if data} - set(inputs), key=lambda data: (len(data), data))
        with kept.open("a") as out:
            out.writelines(write(data) + "\n" for data in new)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 3 else sys.exit(__doc__)
