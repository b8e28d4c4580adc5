"""Honest clients at a steady rate, in a process of their own: each answer is checked and timed."""

import gc
import multiprocessing
import select
import socket
import time

HOST = "127.0.0.1"
CONNECTIONS = 8
REQUESTS_PER_SECOND = 1000

# Longer than any healthy answer takes.
TIMEOUT = 10


class Connection:
    """One keep-alive connection: a request at a time, and those that are due meanwhile."""

    def __init__(self, port):
        self.port = port
        self.due = []
        self.received = b""
        self.asked = None
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self):
        """Sends the next request that is due, if none is in flight."""
        if self.asked or not self.due:
            return
        self.asked = self.due.pop(0)
        path = self.asked[1]
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n\r\n".encode())

    def answer(self):
        """What has come of the answer: its head and body, or None if some is missing."""
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise ConnectionError("closed by the server")
        self.received += piece
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        at = head.find(b"\r\nContent-Length: ") + 18
        length = int(head[at:].split(b"\r\n", 1)[0]) if at >= 18 else 0
        if len(body) < length:
            return None
        self.received = b""
        return head, body


def ask_steadily(connections, files, rate, seconds):
    """Asks for so many seconds. A latency counts from when the request was due."""
    latencies, failures = [], []
    paths = list(files)
    began = time.monotonic()
    asked = 0
    while connections:
        now = time.monotonic()
        next_due = began + asked / rate
        is_over = next_due > began + seconds
        if is_over and not any(one.asked or one.due for one in connections):
            break
        if now > began + seconds + TIMEOUT:
            missing = sum(bool(one.asked) + len(one.due) for one in connections)
            failures.append(f"{missing} without an answer")
            # What comes later is nobody's any more.
            connections[:] = [one for one in connections if not one.asked]
            break
        if not is_over and next_due <= now:
            connection = connections[asked % len(connections)]
            connection.due.append((next_due, paths[asked % len(paths)]))
            asked += 1
            connection.ask()
            continue
        wait = TIMEOUT if is_over else next_due - now
        for ready in select.select([one.socket for one in connections], [], [], wait)[0]:
            connection = next(one for one in connections if one.socket is ready)
            try:
                answer = connection.answer()
            except (OSError, ValueError) as error:
                failures.append(str(error))
                connections.remove(connection)
                continue
            if answer is None:
                continue
            due, path = connection.asked
            latencies.append(time.monotonic() - due)
            head, body = answer
            if not head.startswith(b"HTTP/1.1 200 ") or body != files[path]:
                failures.append(f"{path}: {head.splitlines()[0].decode('latin-1')}, or its content")
            connection.asked = None
            connection.ask()
    latencies.sort()
    share = lambda part: round(latencies[int(len(latencies) * part)] * 1e3, 3) if latencies else None
    return {
        "requests": asked, "answers": len(latencies), "failures": failures, "p50_ms": share(0.5),
        "p99_ms": share(0.99), "p999_ms": share(0.999), "p9999_ms": share(0.9999),
    }


def obey(kind, port, files, pipe):
    """Connects so many clients of a kind, or measures for so many seconds, as it is told."""
    gc.disable()
    connections = []
    while True:
        what, number = pipe.recv()
        if what == "connect":
            try:
                connections += [kind(port) for _ in range(number)]
                pipe.send(None)
            except OSError as error:
                pipe.send(f"connecting: {error}")
        elif what == "measure":
            pipe.send(ask_steadily(connections, files, REQUESTS_PER_SECOND, number))
        else:
            return


class Honest:
    """Clients of one server, for use in `with`."""

    def __init__(self, port, files, kind=Connection):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=obey, args=(kind, port, files, theirs), daemon=True
        )

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.pipe.send(("leave", 0))
        self.process.join()

    def connect(self, count):
        """What failed of it, or None."""
        self.pipe.send(("connect", count))
        return self.pipe.recv()

    def start(self, seconds):
        """Begins to measure, for `finish` to take what came of it."""
        self.pipe.send(("measure", seconds))

    def finish(self):
        return self.pipe.recv()
