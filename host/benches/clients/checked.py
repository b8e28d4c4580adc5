"""Clients over TLS, by HTTP/1 and HTTP/2, that check each response and each certificate."""

import multiprocessing
import os
import queue
import socket
import ssl
import struct
import time

from clients.http2 import (
    DATA, END_HEADERS, END_STREAM, ERRORS, GOAWAY, HEADERS, ROOM, RST_STREAM, WINDOW_UPDATE, Frames,
    frame, hello, literal,
)

# Longer than any healthy response takes on a busy machine.
TIMEOUT = 20

# Requests of one connection; then another one sees the certificate that serves.
REQUESTS = 200

# Streams of HTTP/2 that are open at a time.
STREAMS = 10

# What is told of failures: one fault may fail each request.
FAILURES = 20


class Http1:
    """A request at a time."""

    protocol = "http/1.1"

    def __init__(self, stream):
        self.stream, self.received = stream, b""

    def ask(self, host, paths):
        for path in paths:
            self.stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            while b"\r\n\r\n" not in self.received:
                self.more()
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            at = head.lower().index(b"\r\ncontent-length: ") + 18
            length = int(head[at:].split(b"\r\n", 1)[0])
            while len(self.received) < length:
                self.more()
            body, self.received = self.received[:length], self.received[length:]
            yield path, head[9:12] == b"200", body

    def more(self):
        piece = self.stream.recv(1 << 16)
        if not piece:
            raise ConnectionError("closed by the server")
        self.received += piece


class Http2:
    """Some requests at a time."""

    protocol = "h2"

    def __init__(self, stream):
        self.stream, self.frames, self.next, self.taken = stream, Frames(), 1, 0
        stream.sendall(hello())

    def ask(self, host, paths):
        for at in range(0, len(paths), STREAMS):
            yield from self.together(host, paths[at : at + STREAMS])

    def together(self, host, paths):
        open_streams, sent = {}, b""
        for path in paths:
            fields = literal(b":authority", host.encode()) + literal(b":path", path.encode())
            sent += frame(HEADERS, END_HEADERS | END_STREAM, self.next, b"\x82\x87" + fields)
            open_streams[self.next] = [path, False, b""]
            self.next += 2
        self.stream.sendall(sent)
        while open_streams:
            piece = self.stream.recv(1 << 16)
            if not piece:
                raise ConnectionError("closed by the server")
            for kind, flags, stream, payload in self.frames.take(piece):
                if kind == GOAWAY:
                    raise ConnectionError(f"GOAWAY {ERRORS[int.from_bytes(payload[4:8], 'big')]}")
                if stream not in open_streams:
                    continue
                if kind == RST_STREAM:
                    raise ConnectionError(f"RST_STREAM {ERRORS[int.from_bytes(payload, 'big')]}")
                if kind == HEADERS:
                    # `:status: 200` is one byte, perhaps behind the size of the table.
                    open_streams[stream][1] = payload.lstrip(b"\x20")[:1] == b"\x88"
                elif kind == DATA:
                    open_streams[stream][2] += payload
                    self.taken += len(payload)
                if kind in (HEADERS, DATA) and flags & END_STREAM:
                    yield open_streams.pop(stream)
            if self.taken > ROOM:
                # The windows of streams end with them.
                self.stream.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self.taken)))
                self.taken = 0


class Clients:
    """One client of each protocol for each host, in a process of its own, until it is stopped."""

    def __init__(self, port, root, sites):
        """`root` is the PEM that certificates have to lead to, `sites` has the files of each host."""
        self.stopped = multiprocessing.Event()
        self.results = multiprocessing.Queue()
        self.processes = [
            multiprocessing.Process(
                target=client, daemon=True,
                args=(port, root, host, files, wire, self.stopped, self.results))
            for host, files in sites.items() for wire in (Http1, Http2)
        ]
        for process in self.processes:
            process.start()

    def failed(self):
        """Whether a client has given up."""
        return not all(process.is_alive() for process in self.processes)

    def stop(self):
        """Ends them, and gives what each has seen."""
        self.stopped.set()
        found = []
        for _ in self.processes:
            try:
                found.append(self.results.get(timeout=2 * TIMEOUT))
            except queue.Empty:
                found.append({"failures": ["a client has ended without a result"]})
        for process in self.processes:
            process.join()
        return found


def connect(port, root, host, protocol):
    """A connection whose certificate is one for this host, signed below the root."""
    context = ssl.create_default_context(cadata=root)
    context.set_alpn_protocols([protocol])
    plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = context.wrap_socket(plain, server_hostname=host)
    if stream.selected_alpn_protocol() != protocol:
        raise ConnectionError(f"no {protocol}")
    return stream


def client(port, root, host, files, wire, stopped, results):
    # The server is what is measured.
    os.nice(5)
    paths = list(files)
    batch = (paths * (REQUESTS // len(paths) + 1))[:REQUESTS]
    seen = {"host": host, "protocol": wire.protocol, "requests": 0, "connections": 0, "bytes": 0,
            "slowest_ms": 0.0, "certificates": [], "failures": []}
    while not stopped.is_set() and len(seen["failures"]) < FAILURES:
        try:
            with connect(port, root, host, wire.protocol) as stream:
                serial = stream.getpeercert()["serialNumber"]
                if serial not in seen["certificates"]:
                    seen["certificates"].append(serial)
                seen["connections"] += 1
                asked = time.monotonic()
                for path, is_ok, body in wire(stream).ask(host, batch):
                    now = time.monotonic()
                    seen["slowest_ms"] = max(seen["slowest_ms"], (now - asked) * 1e3)
                    asked = now
                    seen["requests"] += 1
                    seen["bytes"] += len(body)
                    if not is_ok or body != files[path]:
                        seen["failures"].append(f"{path}: another status than 200, or another content")
        except (OSError, ValueError) as error:
            seen["failures"].append(f"{type(error).__name__}: {error}")
    results.put(seen)
