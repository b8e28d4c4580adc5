"""Rude clients: what each kind does, and a crowd of them in a process of its own."""

import collections
import dataclasses
import errno
import multiprocessing
import os
import random
import socket
import struct
import time

HOST = "127.0.0.1"

# Of a second. Each client acts once a second, and they are spread over these: so many that
# few act together, as is so with clients of many machines.
TICKS = 200

# Clients that come in one tick: 2,000 are there after two seconds.
ARRIVALS = 5

# What a client that reads slowly, or not at all, has its kernel keep for it. It is what
# fills the memory of this machine's kernel, which is not what is measured.
SMALL_WINDOW = 4096

# The machine of a real client is another one: whoever is honest goes first on this one.
NICENESS = 10

TCP_REPAIR = 19
IP_BIND_ADDRESS_NO_PORT = 24
ESTABLISHED = 1
RESET = struct.pack("ii", 1, 0)

REQUEST = b"GET /0.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: rude\r\n\r\n"
LARGE = b"GET /large.bin HTTP/1.1\r\nHost: a\r\nUser-Agent: rude\r\n\r\n"
MIDDLE = b"GET /middle.bin HTTP/1.1\r\nHost: a\r\nUser-Agent: rude\r\n\r\n"
UNFINISHED = b"GET /0.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: rude\r\nX-Slow: "
BODY = b"POST /0.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: rude\r\nContent-Length: 100000\r\n\r\n"


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a client behaves. All that is a number counts for one second."""

    name: str
    hello: bytes = b""
    # Sent piece by piece once the hello is sent; the last byte again and again.
    drips: bytes = b""
    takes: int = 0
    window: int = 0
    # Stays so many seconds, at least and at most; otherwise for ever.
    stays: tuple = ()
    # How it leaves: "close", "reset", or "vanish", which tells the server nothing.
    leaves: tuple = ("close",)
    # Comes and goes at once, at a rate of half of the number of clients a second.
    passes_by: bool = False
    # More than the server has room for.
    floods: bool = False
    # When the server closes a connection, another client comes.
    comes_again: bool = True


KINDS = [
    Kind("slow head (slowloris)", UNFINISHED, b"a"),
    Kind("slow body", BODY, b"a"),
    Kind("slow read, 8 bytes a second", LARGE, takes=8, window=SMALL_WINDOW),
    Kind("half-open", leaves=("close", "vanish")),
    Kind("reset within the answer", MIDDLE, takes=64 << 10, stays=(0.5, 8), leaves=("reset",)),
    Kind("100 MiB, never read", LARGE, window=SMALL_WINDOW),
    Kind("flood to the cap", floods=True),
    # Answers fill what the kernels take of them; asking anew when the server has lost its
    # patience would be a load and nothing else.
    Kind("4,000 × 256 KiB pipelined, never read", MIDDLE * 4000, window=SMALL_WINDOW, comes_again=False),
    Kind("200 pipelined at once, never read", REQUEST * 200, window=SMALL_WINDOW, comes_again=False),
    Kind("one byte a second", drips=REQUEST[:-4] + b"\r\nX: " + b"a" * 100),
    Kind("connect and leave", leaves=("close", "reset"), passes_by=True),
]


class Client:
    """One connection, and what came of it."""

    __slots__ = ("kind", "socket", "sent", "dripped", "seen", "leaves", "leaves_at")

    def __init__(self, kind, port, number):
        self.kind = kind
        self.sent = self.dripped = 0
        self.seen = b""
        self.leaves = kind.leaves[number % len(kind.leaves)]
        self.leaves_at = time.monotonic() + random.uniform(*kind.stays) if kind.stays else None
        self.socket = socket.socket()
        if kind.window:
            # Before it connects, so that the window is small from the start.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kind.window)
        # Ports of clients that closed are taken for a minute: many addresses have more.
        self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        self.socket.bind((f"127.0.{number // 250 % 250 + 1}.{number % 250 + 1}", 0))
        self.socket.setblocking(False)
        self.socket.connect_ex((HOST, port))

    def has_ended(self):
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED

    def act(self):
        """What it does in a second."""
        try:
            if self.sent < len(self.kind.hello):
                self.sent += self.socket.send(memoryview(self.kind.hello)[self.sent :])
            elif drips := self.kind.drips:
                at = min(self.dripped, len(drips) - 1)
                self.dripped += self.socket.send(drips[at : at + 1])
        except OSError:
            # The kernel takes no more now, or it has ended, which is seen the next time.
            pass
        if self.kind.takes:
            self.take(self.kind.takes)

    def take(self, count):
        try:
            taken = self.socket.recv(count)
        except OSError:
            return
        self.seen = (self.seen + taken)[:12]

    def end(self, how):
        """Closes the connection, and tells in words what came of it."""
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET:
            how = "reset by the server"
        self.take(12)
        try:
            if self.leaves == "reset":
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            elif self.leaves == "vanish":
                self.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except OSError:
            # Vanishing needs a privilege (CAP_NET_ADMIN), and a connection that is there.
            pass
        self.socket.close()
        status = self.seen[9:12].decode("latin-1")
        return f"{status or 'no answer'}, {how}"


def behave(kind, port, count, told):
    """The life of a crowd, until it is told to go; it tells when all have come."""
    os.nice(NICENESS)
    clients, outcomes, came = [], collections.Counter(), 0
    began = time.monotonic()
    tick = 0
    while not told.poll(max(0, began + tick / TICKS - time.monotonic())):
        tick += 1
        if kind.passes_by:
            if tick == 1:
                told.send("here")
            due = count // 2 * tick // TICKS
            while came < due:
                came += 1
                outcomes[Client(kind, port, came).end("left at once")] += 1
            continue
        now = time.monotonic()
        for number in range(tick % TICKS, len(clients), TICKS):
            client = clients[number]
            if client is None:
                continue
            if client.has_ended():
                outcomes[client.end("closed by the server")] += 1
            elif client.leaves_at and now > client.leaves_at:
                outcomes[client.end("left")] += 1
            else:
                client.act()
                continue
            if kind.comes_again:
                came += 1
                clients[number] = Client(kind, port, came)
                clients[number].act()
            else:
                clients[number] = None
        for _ in range(min(ARRIVALS, count - len(clients))):
            came += 1
            clients.append(Client(kind, port, came))
            clients[-1].act()
            if len(clients) == count:
                told.send("here")
    for client in filter(None, clients):
        ended = client.has_ended()
        outcomes[client.end("closed by the server" if ended else "there to the end")] += 1
    told.send({"came": came, "outcomes": dict(outcomes), "gone": time.monotonic()})


class Crowd:
    """So many clients of one kind, for use in `with`; afterwards `told` has what they got."""

    def __init__(self, kind, port, count):
        self.told = None
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=behave, args=(kind, port, count, theirs), daemon=True
        )
        # Until all have come, and have done something.
        self.arrival_seconds = 1 + count / ARRIVALS / TICKS

    def __enter__(self):
        self.process.start()
        return self

    def gather(self, seconds):
        """Waits until all have come, for so long at most."""
        if self.pipe.poll(seconds):
            self.pipe.recv()

    def __exit__(self, *_):
        self.pipe.send("go")
        try:
            self.told = self.pipe.recv()
            if self.told == "here":
                self.told = self.pipe.recv()
        except EOFError:
            self.told = {"came": 0, "outcomes": {"a fault of the crowd's": 1}, "gone": 0}
        self.process.join()
