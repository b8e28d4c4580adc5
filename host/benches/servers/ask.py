"""One request over a socket, and its whole answer."""

import socket
import subprocess
from dataclasses import dataclass

import tls
from cases import Wire

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


def ask(
    port: int, path: str, fields: dict[str, str] | None = None, wire: Wire = Wire.HTTP1
) -> Answer:
    """Asks on a connection of its own."""
    if wire is Wire.HTTP2:
        return ask_http2(port, path)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        if wire is Wire.HTTP1:
            connection.sendall(request(port, path, fields or {}))
            return read_answer(connection)
        context = tls.client_context("http/1.1")
        with context.wrap_socket(connection, server_hostname="localhost") as over_tls:
            if over_tls.cipher()[0] != tls.CIPHERS:
                raise BadAnswer(f"the cipher is {over_tls.cipher()[0]} and not {tls.CIPHERS}")
            over_tls.sendall(request(port, path, fields or {}))
            return read_answer(over_tls)


def ask_http2(port: int, path: str) -> Answer:
    """Asks over HTTP/2, by curl: there is no client in Python itself."""
    told = "%{http_version} %{http_code}"
    result = subprocess.run(
        ["curl", "--silent", "--show-error", "--insecure", "--http2", "--max-time", str(TIMEOUT)]
        + ["--noproxy", "*", "--write-out", "%{stderr}" + told]
        + [f"https://127.0.0.1:{port}{path}"],
        capture_output=True,
    )
    said = result.stderr.decode(errors="replace").split()
    if result.returncode or len(said) != 2:
        raise BadAnswer(f"curl: {' '.join(said)}")
    version, status = said
    if version != "2":
        raise BadAnswer(f"the version is {version} and not 2")
    # Field sections are compressed, and small beside what is compared with them.
    return Answer(int(status), {}, result.stdout, len(result.stdout))


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
