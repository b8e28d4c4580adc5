"""The site that all servers serve."""

from pathlib import Path

# 63 characters and a newline: the file of 1 KiB is 16 of them, as in static.wat.
LINE = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
KIB = LINE * 16

HOT = "/1k.txt"
MIB = "/large/1m.bin"
LARGE = "/large/100m.bin"
MISSING = "/missing.txt"
DIRECTORY = "/tree"

TREE_FOLDERS = 10
TREE_FILES = 1_000
TREE = [f"/tree/{number % TREE_FOLDERS}/{number:04}.html" for number in range(TREE_FILES)]


def generate(root: Path) -> None:
    """Writes the site into an empty folder."""
    (root / HOT[1:]).write_bytes(KIB)
    (root / "large").mkdir()
    (root / MIB[1:]).write_bytes(KIB * 1024)
    with (root / LARGE[1:]).open("wb") as large:
        for _ in range(100):
            large.write(KIB * 1024)
    for folder in range(TREE_FOLDERS):
        (root / "tree" / str(folder)).mkdir(parents=True)
    # An index page, so that the directory is one that can be seen.
    (root / "tree" / "index.html").write_bytes(KIB)
    for path in TREE:
        (root / path[1:]).write_bytes(KIB * 10)


def content(root: Path, path: str) -> bytes:
    """What the file at this path of the site holds."""
    return (root / path[1:]).read_bytes()
