"""The cases: what is asked for, how, and what the right answer is."""

from dataclasses import dataclass, field
from enum import Enum, auto

import files


class Load(Enum):
    """Who asks."""

    WRK = auto()
    # wrk, beside connections that ask once and then stay open.
    BESIDE_IDLE = auto()
    # wrk, beside connections that read a large file slowly.
    BESIDE_SLOW = auto()
    # The client of paced.rs.
    PACED = auto()


@dataclass(frozen=True)
class Case:
    name: str
    description: str
    path: str = files.HOT
    statuses: tuple[int, ...] = (200,)
    fields: dict[str, str] = field(default_factory=dict)
    # Whether the request repeats the validator of an answer that came before.
    conditional: bool = False
    load: Load = Load.WRK
    script: str = "same.lua"
    script_arguments: tuple[str, ...] = ()
    threads: int = 2
    connections: int = 64
    # Connections that are held open beside the load.
    held: int = 0
    # Whether answers are so large that a run ends within many of them: then requests
    # are counted by bytes.
    by_bytes: bool = False
    # Whether each server writes its access log to a file.
    logged: bool = False
    # Whether each run gets a server that was just started: memory that a server keeps
    # would hide what the next run needs.
    fresh: bool = False
    # Whether one canned answer can stand for this case, so that the bare program is
    # its limit. It is none for large bodies (it has no sendfile) nor for logs.
    canned: bool = True


def idle(held: int) -> Case:
    return Case(
        f"idle-{held}",
        f"1 KiB beside {held:,} idle keep-alive connections",
        load=Load.BESIDE_IDLE,
        held=held,
        fresh=True,
    )


PIPELINE = 16
SLOW_READERS = 200

CASES = [
    Case("hot", "the same file of 1 KiB"),
    Case(
        "tree",
        "1,000 files of 10 KiB in random order",
        path=files.TREE[0],
        script="tree.lua",
        script_arguments=tuple(files.TREE),
    ),
    Case("mib", "a file of 1 MiB", path=files.MIB, canned=False),
    Case(
        "large",
        "a file of 100 MiB, 4 connections",
        path=files.LARGE,
        connections=4,
        by_bytes=True,
        canned=False,
    ),
    Case("missing", "a file that is not there: 404", path=files.MISSING, statuses=(404,)),
    Case("unmodified", "If-None-Match that matches: 304", statuses=(304,), conditional=True),
    # Caddy and static-web-server redirect with 308, which says the same of a GET.
    Case(
        "redirect",
        "a directory without its slash: 301 or 308",
        path=files.DIRECTORY,
        statuses=(301, 308),
    ),
    Case(
        "connections",
        "1 KiB, a new connection for each request",
        fields={"Connection": "close"},
    ),
    Case(
        "pipelined",
        f"1 KiB, {PIPELINE} requests at once",
        script="pipelined.lua",
        script_arguments=(str(PIPELINE),),
    ),
    Case("unique", "1 KiB, another query for each request", script="unique.lua"),
    Case("single", "1 KiB on one connection", threads=1, connections=1),
    Case("paced", "1 KiB at a fixed rate, 32 connections", load=Load.PACED, connections=32),
    Case("logged", "1 KiB with an access log in a file", logged=True, canned=False),
    idle(1_000),
    idle(10_000),
    Case(
        "slow",
        f"1 KiB beside {SLOW_READERS} slow readers of 100 MiB",
        load=Load.BESIDE_SLOW,
        held=SLOW_READERS,
        fresh=True,
        canned=False,
    ),
]

# What --short takes: of each kind of work one, without the slow ones.
SHORT = ["hot", "tree", "mib", "unmodified", "connections", "unique"]
