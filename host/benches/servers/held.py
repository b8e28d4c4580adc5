"""Connections that are held open beside a load."""

import socket
import subprocess
import threading
from pathlib import Path

import ask
import files
from cases import Wire

# What a slow reader takes, and how often: 160 KiB a second, a poor mobile connection.
SLOW_BYTES = 16 << 10
SLOW_PAUSE = 0.1

# What a slow reader's kernel holds for it. With less than one packet of the loopback
# device (64 KiB) in it, packets are dropped and sent again, which no server can help.
SLOW_BUFFER = 128 << 10


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not closed this connection."""
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


class Held:
    """Connections to one server, for use in `with`."""

    def __init__(self, port: int, count: int):
        self.port = port
        self.count = count
        self.connections: list[socket.socket] = []

    def __enter__(self) -> "Held":
        try:
            for _ in range(self.count):
                connection = self.connect()
                # From here on it is only looked at, and never waited for.
                connection.setblocking(False)
                self.connections.append(connection)
        except (OSError, ask.BadAnswer):
            # The server, or the system, holds no more; open() tells how many there are.
            pass
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def connect(self) -> socket.socket:
        raise NotImplementedError

    def open(self) -> int:
        """How many connections are open now."""
        return sum(map(is_open, self.connections))

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


class Idle(Held):
    """Connections that asked once, had their answer, and stay."""

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=ask.TIMEOUT)
        try:
            connection.sendall(ask.request(self.port, files.HOT, {}))
            ask.read_answer(connection)
        except BaseException:
            connection.close()
            raise
        return connection


class Slow(Held):
    """Connections that asked for a large file and read it slowly."""

    def __init__(self, port: int, count: int):
        super().__init__(port, count)
        self.over = threading.Event()
        self.reader = threading.Thread(target=self.read_all)

    def __enter__(self) -> "Slow":
        super().__enter__()
        self.reader.start()
        return self

    def connect(self) -> socket.socket:
        connection = socket.socket()
        try:
            connection.settimeout(ask.TIMEOUT)
            # Before it is connected, so that the window is small from the start: the
            # rest of the file waits with the server.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER)
            connection.connect(("127.0.0.1", self.port))
            connection.sendall(ask.request(self.port, files.LARGE, {}))
        except BaseException:
            connection.close()
            raise
        return connection

    def read_all(self) -> None:
        while not self.over.wait(SLOW_PAUSE):
            for connection in self.connections:
                try:
                    connection.recv(SLOW_BYTES)
                except OSError:
                    # Nothing yet, or nothing any more, which open() tells.
                    pass

    def close(self) -> None:
        self.over.set()
        if self.reader.is_alive():
            self.reader.join()
        super().close()


class IdleOverTls:
    """Idle connections over TLS, which tls-client holds: Python's would take its time."""

    def __init__(self, client: Path, port: int, count: int, wire: Wire):
        kind = "h2" if wire is Wire.HTTP2 else "h1"
        self.command = [str(client), "hold", str(port), files.HOT, str(count), kind]

    def __enter__(self) -> "IdleOverTls":
        self.client = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # Returns when all are open.
        self.held()
        return self

    def __exit__(self, *_) -> None:
        self.client.kill()
        self.client.communicate()

    def open(self) -> int:
        """How many connections are open now."""
        try:
            self.client.stdin.write("\n")
            self.client.stdin.flush()
        except BrokenPipeError:
            return 0
        return self.held()

    def held(self) -> int:
        line = self.client.stdout.readline()
        return int(line.removeprefix("HELD ")) if line else 0
