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
    # tls-client: a new connection for each request, with a full handshake or a resumed one.
    HANDSHAKES = auto()
    # tls-client: a fixed rate of small requests over TLS.
    TLS_PACED = auto()


class Wire(Enum):
    """What is spoken."""

    HTTP1 = "h1"
    # HTTP/1.1 over TLS 1.3.
    TLS = "https"
    # HTTP/2 over TLS 1.3.
    HTTP2 = "h2"


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
    wire: Wire = Wire.HTTP1
    # Requests at a time on each connection (HTTP/2).
    streams: int = 1
    # Whether handshakes resume a session.
    resumed: bool = False
    # Downloads beside the small requests, on the same connections over HTTP/2.
    downloads: int = 0
    # The guest that innkeeper has, in ../guests; its own, if empty.
    guest: str = ""
    # Servers that this case is about; all, if empty.
    servers: tuple[str, ...] = ()
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

    @property
    def tls(self) -> bool:
        return self.wire is not Wire.HTTP1


def idle(held: int) -> Case:
    return Case(
        f"idle-{held}",
        f"1 KiB beside {held:,} idle keep-alive connections",
        load=Load.BESIDE_IDLE,
        held=held,
        fresh=True,
    )


def idle_tls(wire: Wire) -> Case:
    held = 2_000
    name = "h2" if wire is Wire.HTTP2 else "tls"
    return Case(
        f"{name}-idle",
        f"1 KiB over {name.upper()} beside {held:,} idle connections",
        load=Load.BESIDE_IDLE,
        wire=wire,
        held=held,
        fresh=True,
        streams=10,
    )


def h2_hot(streams: int) -> Case:
    return Case(
        f"h2-hot-{streams}",
        f"1 KiB over HTTP/2, {streams} requests at a time on each connection",
        wire=Wire.HTTP2,
        streams=streams,
    )


# Servers that the connection of a deferred listener makes a difference to.
CONNECTING = ("innkeeper", "nginx", "nginx-deferred", "h2o")

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
    Case(
        "unique",
        "1 KiB, another query for each request",
        script="unique.lua",
        script_arguments=("query",),
    ),
    # Other servers send the file whatever the cookie.
    Case(
        "cookies",
        "1 KiB, another cookie for each request, which innkeeper's guest reads",
        fields={"Cookie": "session=MARK"},
        script="unique.lua",
        script_arguments=("cookie",),
        guest="cookies",
    ),
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
    Case("tls-hot", "1 KiB over TLS", wire=Wire.TLS),
    Case("tls-mib", "1 MiB over TLS", path=files.MIB, wire=Wire.TLS),
    Case(
        "tls-100mib",
        "100 MiB over TLS, 4 connections",
        path=files.LARGE,
        connections=4,
        by_bytes=True,
        wire=Wire.TLS,
    ),
    Case(
        "tls-handshake",
        "1 KiB over TLS, a new connection with a full handshake (X25519) for each request",
        load=Load.HANDSHAKES,
        connections=16,
        wire=Wire.TLS,
        servers=CONNECTING,
    ),
    Case(
        "tls-resume",
        "1 KiB over TLS, a new connection with a resumed session for each request",
        load=Load.HANDSHAKES,
        connections=16,
        wire=Wire.TLS,
        resumed=True,
        servers=CONNECTING,
    ),
    # Nobody else here has it: innkeeper is measured against itself.
    Case(
        "tls-mlkem",
        "1 KiB over TLS, a full handshake with X25519MLKEM768 for each request",
        load=Load.HANDSHAKES,
        connections=16,
        wire=Wire.TLS,
        servers=("innkeeper", "innkeeper-x25519"),
    ),
    h2_hot(1),
    h2_hot(10),
    h2_hot(100),
    Case(
        "h2-mib",
        "1 MiB over HTTP/2, 8 connections",
        path=files.MIB,
        connections=8,
        by_bytes=True,
        wire=Wire.HTTP2,
    ),
    Case(
        "h2-100mib",
        "100 MiB over HTTP/2, 4 connections",
        path=files.LARGE,
        connections=4,
        by_bytes=True,
        wire=Wire.HTTP2,
    ),
    idle_tls(Wire.TLS),
    idle_tls(Wire.HTTP2),
    Case(
        "h2-paced",
        "1 KiB over HTTP/2 at a fixed rate, 8 connections",
        load=Load.TLS_PACED,
        connections=8,
        wire=Wire.HTTP2,
    ),
    Case(
        "h2-mixed",
        "the same, beside a download of 100 MiB on each of the connections",
        load=Load.TLS_PACED,
        connections=8,
        wire=Wire.HTTP2,
        downloads=1,
    ),
    Case(
        "tls-mixed",
        "1 KiB over TLS at a fixed rate, 8 connections, beside 8 downloads of 100 MiB",
        load=Load.TLS_PACED,
        connections=8,
        wire=Wire.TLS,
        downloads=1,
    ),
]

# What --tls takes.
TLS = [case.name for case in CASES if case.tls]

# What --short takes: of each kind of work one, without the slow ones.
SHORT = ["hot", "tree", "mib", "unmodified", "connections", "unique"]
