"""One request over a socket, and its whole answer."""

import socket
from dataclasses import dataclass

TIMEOUT = 10


class BadAnswer(Exception):
    """What came back is no complete HTTP answer."""


@dataclass
class Answer:
    status: int
    # Names in lower case.
    fields: dict[str, str]
    body: bytes
    # With its head: what a load generator counts.
    total_bytes: int


def request(port: int, path: str, fields: dict[str, str]) -> bytes:
    """The bytes of a GET request, with the fields that wrk sends and these."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(port: int, path: str, fields: dict[str, str] | None = None) -> Answer:
    """Asks on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.sendall(request(port, path, fields or {}))
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """Reads one answer from a connection that stays open."""
    with connection.makefile("rb") as reader:
        line = reader.readline()
        parts = line.split(b" ", 2)
        if len(parts) < 2 or not parts[1].isdigit():
            raise BadAnswer(f"a status line was expected, and this came: {line[:80]!r}")
        status = int(parts[1])
        total = len(line)
        fields = {}
        while (line := reader.readline()) != b"\r\n":
            if not line:
                raise BadAnswer("the connection was closed within the head")
            total += len(line)
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.strip().lower()] = value.strip()
        total += len(line)
        if status == 304:
            return Answer(status, fields, b"", total)
        if "content-length" not in fields:
            raise BadAnswer(f"an answer with status {status} has no Content-Length")
        length = int(fields["content-length"])
        body = reader.read(length)
        if len(body) < length:
            raise BadAnswer(f"the body ended after {len(body)} of {length} bytes")
        return Answer(status, fields, body, total + length)
