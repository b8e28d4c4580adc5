"""A request and its answer, by hand: nothing between the wire and who checks it."""

import socket
import zlib

# Longer than any healthy answer takes beside all that happens in a soak.
TIMEOUT = 20


class Cut(Exception):
    """The connection ended before the answer did."""


class Answer:
    """A status, fields by their names in lower case, and a body without its coding."""

    def __init__(self, head, body, is_whole):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()
        self.is_whole = is_whole
        self.body = body
        self.is_coded = "content-encoding" in self.fields
        if self.is_coded and is_whole and body:
            self.body = zlib.decompress(body, wbits=31)

    def length(self):
        return int(self.fields.get("content-length", -1))


class Connection:
    """A keep-alive connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()

    def ask(self, method, target, fields):
        told = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"{method} {target} HTTP/1.1\r\nHost: soak\r\n{told}\r\n"
        self.socket.sendall(request.encode())
        while (end := self.received.find(b"\r\n\r\n")) < 0:
            self.more()
        head = bytes(self.received[:end])
        del self.received[: end + 4]
        answer = Answer(head, b"", True)
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        length = answer.length()
        if length < 0:
            return self.chunks(head)
        try:
            while len(self.received) < length:
                self.more()
        except Cut:
            return Answer(head, bytes(self.received), False)
        body = bytes(self.received[:length])
        del self.received[:length]
        return Answer(head, body, True)

    def chunks(self, head):
        """A body in chunks, of which no trailer is expected."""
        body = bytearray()
        while True:
            while (end := self.received.find(b"\r\n")) < 0:
                self.more()
            size = int(self.received[:end], 16)
            while len(self.received) < end + 4 + size:
                self.more()
            body += self.received[end + 2 : end + 2 + size]
            del self.received[: end + 4 + size]
            if size == 0:
                return Answer(head, bytes(body), True)

    def more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise Cut("closed by the server before the answer's end")
        self.received += piece

    def close(self):
        self.socket.close()
