"""Clients that abuse HTTP/2: what each kind does, and a crowd of them in a process of its own."""

import collections
import dataclasses
import itertools
import multiprocessing
import os
import select
import socket
import struct
import time

from clients.http2 import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ERRORS, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, Frames, block, frame, hello, setting,
)

HOST = "127.0.0.1"

# The machine of a real client is another one: whoever is honest goes first on this one.
NICENESS = 10

# A client that was sent away comes again after this.
RETURN_SECONDS = 0.05

CANCEL = struct.pack(">I", 8)
LARGEST_WINDOW = (1 << 31) - 1
INITIAL_WINDOW = 4
GET = END_HEADERS | END_STREAM


def odd():
    return itertools.count(1, 2)


def request(stream, path=b"/0.txt"):
    return frame(HEADERS, GET, stream, block(b"GET", path))


def post(stream):
    return frame(HEADERS, END_HEADERS, stream, block(b"POST", b"/0.txt"))


def reset(stream):
    return frame(RST_STREAM, 0, stream, CANCEL)


def room(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def in_bursts(of_stream, count):
    """So many streams in each burst."""
    streams = odd()
    while True:
        yield b"".join(of_stream(next(streams)) for _ in range(count))


def again(first, more):
    yield first
    while True:
        yield more


def header_flood():
    """A header block that never ends."""
    return again(frame(HEADERS, END_STREAM, 1, block(b"GET", b"/0.txt")),
                 frame(CONTINUATION, 0, 1, b"\0\1a\1b" * 200) * 16)


def slow_header():
    """The same, a byte at a time."""
    yield frame(HEADERS, END_STREAM, 1, block(b"GET", b"/0.txt"))
    # A long frame, of which a byte comes each second.
    yield frame(CONTINUATION, 0, 1, b"\x82" * 10_000)[:9]
    while True:
        yield b"\x82"


def bomb(stream):
    """16 KB that are 64 MB: a field of 4,000 bytes, and references to it."""
    text = b"\x7f" + bytes(((4000 - 127) % 128 | 128, (4000 - 127) // 128))
    first = block(b"GET", b"/0.txt") + b"\x40\x01b" + text + b"x" * 4000
    return frame(HEADERS, GET, stream, first + b"\xbe" * (16_000 - len(first)))


def large_head(stream):
    """A head that is too large for a response, and no bomb."""
    field = b"\0\1a\x64" + b"x" * 100
    return frame(HEADERS, GET, stream, block(b"GET", b"/0.txt") + field * 150)


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a client behaves."""

    name: str
    # Makes an iterator of what a connection sends, burst after burst.
    bursts: object
    hello: bytes = hello()
    # Whether it reads what comes.
    reads: bool = True
    # Seconds from one burst to the next.
    pause: float = 0


def made_to_reset(frames):
    """Streams that the server resets for a fault: 50 a burst."""
    return lambda: in_bursts(lambda stream: post(stream) + frames(stream), 50)


def one_byte_windows():
    """A file, of which each byte costs a frame."""
    yield request(1, b"/large.bin")
    while True:
        yield room(1, 1) * 200


ZERO_WINDOW = hello(setting(INITIAL_WINDOW, 0))
WIDE_WINDOW = hello(setting(INITIAL_WINDOW, LARGEST_WINDOW)) + room(0, LARGEST_WINDOW - 65_535)

KINDS = [
    Kind("rapid reset, 100 a write", lambda: in_bursts(lambda one: request(one) + reset(one), 100)),
    Kind("rapid reset, one a write", lambda: in_bursts(lambda one: request(one) + reset(one), 1)),
    Kind("rapid reset of large files",
         lambda: in_bursts(lambda one: request(one, b"/large.bin") + reset(one), 20), WIDE_WINDOW),
    Kind("opened, and reset in the next write", lambda: in_bursts(
        lambda one: request(one) + (reset(one - 2) if one > 1 else b""), 1)),
    Kind("made to reset: window too large", made_to_reset(lambda one: room(one, LARGEST_WINDOW))),
    Kind("made to reset: window of 0", made_to_reset(lambda one: room(one, 0))),
    Kind("made to reset: depends on itself",
         made_to_reset(lambda one: frame(PRIORITY, 0, one, struct.pack(">IB", one, 1)))),
    Kind("made to reset: DATA behind the end",
         made_to_reset(lambda one: frame(DATA, END_STREAM, one) + frame(DATA, 0, one, b"a"))),
    Kind("CONTINUATION without end", header_flood),
    Kind("HPACK bomb", lambda: in_bursts(bomb, 1)),
    Kind("heads of 16 KB", lambda: in_bursts(large_head, 1)),
    Kind("PING", lambda: again(b"", frame(PING, 0, 0, b"12345678") * 500)),
    Kind("PING, never read", lambda: again(b"", frame(PING, 0, 0, b"12345678") * 500), reads=False),
    Kind("SETTINGS", lambda: again(b"", frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW, 65_535)) * 200)),
    Kind("PRIORITY", lambda: again(b"", frame(PRIORITY, 0, 1, b"\0\0\0\3\x10") * 500)),
    Kind("WINDOW_UPDATE", lambda: again(b"", room(0, 1) * 500)),
    Kind("unknown frames", lambda: again(b"", frame(0x99, 0, 0, b"x" * 100) * 100)),
    Kind("empty DATA", lambda: again(post(1), frame(DATA, 0, 1) * 500)),
    Kind("DATA of a byte", lambda: again(post(1), frame(DATA, 0, 1, b"a") * 500)),
    Kind("windows of 1 byte", one_byte_windows, ZERO_WINDOW),
    Kind("100 streams, zero window", lambda: again(
        b"".join(request(one, b"/large.bin") for one in range(1, 200, 2)), b""), ZERO_WINDOW, pause=1),
    Kind("100 streams, never read", lambda: again(
        b"".join(request(one, b"/large.bin") for one in range(1, 200, 2)), b""), WIDE_WINDOW, reads=False, pause=1),
    Kind("100 streams, bodies that do not come", lambda: again(
        b"".join(post(one) for one in range(1, 200, 2)), b""), pause=1),
    Kind("slow header block", slow_header, pause=1),
    Kind("preface, and nothing", lambda: again(b"", b""), pause=1),
]


class Client:
    """One connection, and what came of it."""

    def __init__(self, kind, port):
        self.kind, self.bursts = kind, kind.bursts()
        self.rest, self.frames = kind.hello, Frames()
        self.goaway, self.acts_at = None, 0
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def send(self, now):
        """Sends what can be sent now. Gives how many bytes that were."""
        if not self.rest:
            self.rest, self.acts_at = next(self.bursts), now + self.kind.pause
        sent = self.socket.send(self.rest) if self.rest else 0
        self.rest = self.rest[sent:]
        return sent

    def receive(self):
        """Reads. False at the end of the connection."""
        piece = self.socket.recv(1 << 18)
        for kind, _, _, payload in self.frames.take(piece):
            if kind == GOAWAY:
                self.goaway = ERRORS[int.from_bytes(payload[4:8], "big")]
        return bool(piece)


def work(kind, port, count, pipe):
    """Holds so many connections until it is told to end, and tells what came of them."""
    os.nice(NICENESS)
    outcomes, sent, opened = collections.Counter(), 0, 0
    clients, returns = {}, []
    poll = select.poll()

    def come():
        nonlocal opened
        try:
            client = Client(kind, port)
        except OSError as error:
            outcomes[f"not connected: {error}"] += 1
            returns.append(time.monotonic() + 1)
            return
        clients[client.socket.fileno()] = client
        poll.register(client.socket, select.POLLIN * kind.reads | select.POLLOUT | select.POLLHUP)
        opened += 1

    def leave(client, how):
        outcomes[client.goaway or how] += 1
        poll.unregister(client.socket)
        del clients[client.socket.fileno()]
        client.socket.close()
        returns.append(time.monotonic() + RETURN_SECONDS)

    for _ in range(count):
        come()
    pipe.send("there")
    while not pipe.poll():
        now = time.monotonic()
        while returns and returns[0] <= now:
            returns.pop(0)
            come()
        for client in list(clients.values()):
            if kind.pause:
                wants = client.rest or client.acts_at <= now
                poll.modify(client.socket, select.POLLIN * kind.reads | select.POLLOUT * bool(wants))
        for number, events in poll.poll(20):
            client = clients[number]
            try:
                if events & select.POLLIN and kind.reads and not client.receive():
                    leave(client, "closed")
                elif events & (select.POLLHUP | select.POLLERR):
                    leave(client, "closed")
                elif events & select.POLLOUT:
                    sent += client.send(now)
            except BlockingIOError:
                pass
            except OSError:
                leave(client, "reset")
    for client in clients.values():
        outcomes["still open"] += 1
        client.socket.close()
    pipe.recv()
    pipe.send({"outcomes": dict(outcomes), "opened": opened, "sent_bytes": sent})


class Crowd:
    """Such clients, for use in `with`."""

    def __init__(self, kind, port, count):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=work, args=(kind, port, count, theirs), daemon=True)
        self.told = None

    def __enter__(self):
        self.process.start()
        self.pipe.recv()
        return self

    def __exit__(self, *_):
        self.pipe.send("leave")
        self.told = self.pipe.recv()
        self.process.join()
