"""Frames of HTTP/2, and an honest client of it."""

import socket
import struct

from clients import honest

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4

ERRORS = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
          "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
          "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")

# Made room for again when the client has taken as much.
CONNECTION_WINDOW = 65_535
ROOM = CONNECTION_WINDOW // 2


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def setting(name, value):
    return struct.pack(">HI", name, value)


def literal(name, value):
    """A field as a literal without indexing. Short names and values alone."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def block(method, path):
    """The header block of a request."""
    first = {b"GET": b"\x82", b"POST": b"\x83"}[method]
    return first + b"\x86" + b"\x04" + bytes((len(path),)) + path + b"\x01\x01a"


def hello(*settings):
    """What a connection begins with. The server is told to keep no table for us."""
    return PREFACE + frame(SETTINGS, 0, 0, setting(1, 0) + b"".join(settings)) + frame(SETTINGS, ACK, 0)


class Frames:
    """Takes frames from bytes."""

    def __init__(self):
        self.received = b""

    def take(self, piece):
        self.received += piece
        while len(self.received) >= 9:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + length:
                return
            kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
            payload, self.received = self.received[9 : 9 + length], self.received[9 + length :]
            yield kind, flags, stream & 0x7FFFFFFF, payload


class Connection(honest.Connection):
    """One connection of an honest client: a request at a time."""

    def __init__(self, port):
        super().__init__(port)
        self.frames, self.stream, self.taken = Frames(), 1, 0
        self.status, self.body = None, b""
        self.socket.sendall(hello())

    def ask(self):
        if self.asked or not self.due:
            return
        self.asked = self.due.pop(0)
        path = self.asked[1].encode()
        self.socket.sendall(
            frame(HEADERS, END_HEADERS | END_STREAM, self.stream, block(b"GET", path)))

    def answer(self):
        piece = self.socket.recv(1 << 16)
        # A server that sends a head and its content apart would wait 40 ms for us.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if not piece:
            raise ConnectionError("closed by the server")
        for kind, flags, stream, payload in self.frames.take(piece):
            if kind == GOAWAY:
                raise ConnectionError(f"GOAWAY {ERRORS[int.from_bytes(payload[4:8], 'big')]}")
            if stream != self.stream:
                continue
            if kind == RST_STREAM:
                raise ConnectionError(f"RST_STREAM {ERRORS[int.from_bytes(payload, 'big')]}")
            if kind == HEADERS:
                # `:status: 200` is one byte, perhaps behind the size of the table.
                self.status = b"200" if payload.lstrip(b"\x20")[:1] == b"\x88" else b"another status"
            elif kind == DATA:
                self.body += payload
                self.taken += len(payload)
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                found = b"HTTP/1.1 " + self.status + b" ", self.body
                self.status, self.body, self.stream = None, b"", self.stream + 2
                if self.taken > ROOM:
                    room = struct.pack(">I", self.taken)
                    self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, room))
                    self.taken = 0
                return found
        return None
