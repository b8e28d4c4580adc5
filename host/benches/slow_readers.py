#!/usr/bin/env python3
"""Clients that take what they are sent slowly, or not at all: who is served to the end, and what
the kernel holds for the others.

    host/benches/slow_readers.py target/release/innkeeper [--only WORDS] [--whole] [--quick]
        [--name NAME] [--out FILE]

- readers: 12 MB at 1, 5, 20, 40, 90 and 150 KB/s, all at once, with the receive buffer that
  sockets have and with one of 4 KiB. After seven minutes it is told of those below 40 KB/s what
  they have, and whether they are still served, which is fourteen times as long as a client may
  take nothing; with --whole they read to the end, which takes three and a half hours.
- crowd-kept: 1,000 clients with a buffer of 4 KiB ask for 1 MiB on a keep-alive connection, and
  read nothing.
- crowd-at-once, crowd-apart: 100 of them ask for 10 MB, at once and 3 ms apart.
- crowd-closed: 200 of them ask for 1 MiB with `Connection: close`, of a server that allows one
  address ten connections.
- late: a request of HTTP/1.0 for 3 MB, CRLF 50 ms behind it, then a slow read; 20 times.
- body: a client that sends a body that is too large for 4 s and then reads.

Of a crowd it tells the kernel's memory for TCP, connections by their state as the server and as
its kernel tell it, with time. Writes CSV (--out). Alone on the machine it takes some
fifteen minutes; --quick takes two, and only tries whether it works.

Needs Linux and Python 3.9. All is done in a network namespace of its own if that can be made.
"""

import argparse
import collections
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import raw

SMALL_WINDOW = 4096
RATES = [1, 5, 20, 40, 90, 150]
LENGTH = 12_000_000
READING_SECONDS = 420

# When a crowd is looked at, in seconds after it came.
LOOKS = [3, 20, 40, 70, 130]
QUICK_LOOKS = [3, 40]

STATES = {"01": "established", "04": "fin-wait-1", "05": "fin-wait-2", "08": "close-wait"}


class Server:
    def __init__(self, program, site, *arguments):
        cache = site.parent / "cache"
        self.process = subprocess.Popen(
            [program, site, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log",
             "json", "--code-cache", cache, *arguments],
            stdout=open(site.parent / "log", "w"), stderr=subprocess.PIPE, text=True)
        self.log = site.parent / "log"
        self.port = self.admin = None
        while not (self.port and self.admin):
            line = self.process.stderr.readline()
            if not line:
                sys.exit("the server does not start")
            if found := re.search(r"listening on http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
            if found := re.search(r"administration at http://127.0.0.1:(\d+)", line):
                self.admin = int(found[1])
        threading.Thread(target=lambda: collections.deque(self.process.stderr, 0), daemon=True).start()

    def connections(self):
        """Open connections by state, as the server tells."""
        with socket.create_connection(("127.0.0.1", self.admin)) as one:
            one.sendall(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{self.admin}\r\nConnection: close\r\n\r\n".encode())
            text = b"".join(iter(lambda: one.recv(65536), b"")).decode()
        return {state: int(count) for state, count in
                re.findall(r'^innkeeper_connections{state="(\w+)"} (\d+)', text, re.M)}

    def sockets(self):
        """Those of the kernel by state, and what is in their send queues."""
        count, queued = collections.Counter(), 0
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].split(":")[1], 16) == self.port and words[3] in STATES:
                count[STATES[words[3]]] += 1
                queued += int(words[4].split(":")[0], 16)
        return count, queued

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Stops it, and tells how many sockets of it the kernel still has."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return sum(self.sockets()[0].values())


def tcp_mib():
    text = Path("/proc/net/sockstat").read_text()
    return int(re.search(r"TCP:.* mem (\d+)", text)[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def client(port, window=None):
    one = socket.socket()
    if window:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    one.connect(("127.0.0.1", port))
    return one


def get(path, version="1.1", fields=""):
    return f"GET {path} HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode()


def state(port, one):
    """That of the server's end of a connection, as the kernel tells it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote = (int(word.split(":")[1], 16) for word in words[1:3])
        if (local, remote) == (port, one.getsockname()[1]):
            return STATES.get(words[3], words[3])
    return "gone"


def read_slowly(port, rate, window, until, told):
    """Reads so many bytes a second, a tenth of them at a time."""
    began = time.monotonic()
    received, how = 0, "whole"
    try:
        with client(port, window) as one:
            one.sendall(get("/12mb.bin", "1.0"))
            while True:
                piece = one.recv(max(rate // 10, 100))
                if not piece:
                    break
                received += len(piece)
                if until and time.monotonic() > until:
                    how = f"reads on; the server's end is {state(port, one)}"
                    break
                time.sleep(max(0, began + received / rate - time.monotonic()))
    except OSError as error:
        how = f"cut: {error.strerror}"
    if how == "whole" and received < LENGTH:
        how = "cut: ended early"
    told.append({"rate": rate, "window": window or "default", "received": received,
                 "seconds": round(time.monotonic() - began, 1), "outcome": how})


def readers(program, site, settings):
    server = Server(program, site)
    seconds = 40 if settings.quick else READING_SECONDS
    until = None if settings.whole else time.monotonic() + seconds
    told = []
    threads = [threading.Thread(target=read_slowly, args=(server.port, rate * 1000, window, until, told))
               for rate in RATES for window in (None, SMALL_WINDOW)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stop()
    return sorted(told, key=lambda one: (one["rate"], str(one["window"])))


def crowd(program, site, settings, count, request, apart=0, arguments=()):
    """A crowd that asks and reads nothing."""
    server = Server(program, site, *arguments)
    before, cpu, told = tcp_mib(), server.cpu_seconds(), []
    clients = []
    began = time.monotonic()
    for _ in range(count):
        one = client(server.port, SMALL_WINDOW)
        one.sendall(request)
        clients.append(one)
        time.sleep(apart)
    for at in QUICK_LOOKS if settings.quick else LOOKS:
        time.sleep(max(0, began + at - time.monotonic()))
        kernel, queued = server.sockets()
        held = server.connections()
        told.append({
            "seconds": at, "tcp_mib": round(tcp_mib() - before, 1),
            "queued_mib": round(queued / (1 << 20), 1),
            **{state: held.get(state, "") for state in ("idle", "active", "writing")},
            **{state: kernel[state] for state in STATES.values()},
            "server_cpu_seconds": round(server.cpu_seconds() - cpu, 2)})
    statuses = collections.Counter()
    for one in clients:
        one.setblocking(False)
        try:
            statuses[one.recv(12)[9:12].decode() or "closed"] += 1
        except OSError as error:
            statuses[error.strerror] += 1
    left = server.stop()
    told.append({"seconds": "stopped", "tcp_mib": round(tcp_mib() - before, 1),
                 "sockets_left": left, "first_bytes": "; ".join(f"{n} x {s}" for s, n in statuses.items())})
    for one in clients:
        one.close()
    return told


def late(program, site, settings):
    server = Server(program, site)
    outcomes = collections.Counter()

    def one_client():
        try:
            with client(server.port, 65536) as one:
                one.sendall(get("/3mb.bin", "1.0"))
                time.sleep(0.05)
                one.sendall(b"\r\n")
                received = 0
                while piece := one.recv(30_000):
                    received += len(piece)
                    time.sleep(0.03)
            outcomes["whole" if received > 3_000_000 else "ended early"] += 1
        except OSError as error:
            outcomes[error.strerror] += 1

    threads = [threading.Thread(target=one_client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stop()
    return [{"clients": count, "outcome": outcome} for outcome, count in outcomes.items()]


def body(program, site, settings):
    server = Server(program, site)
    began = time.monotonic()
    outcome, status = "sent all", ""
    with client(server.port) as one:
        one.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        try:
            while time.monotonic() < began + 4:
                one.sendall(bytes(1000))
                time.sleep(0.1)
        except OSError as error:
            outcome = error.strerror
        seconds = round(time.monotonic() - began, 1)
        try:
            status = one.recv(12)[9:12].decode()
        except OSError as error:
            status = error.strerror
    server.stop()
    return [{"seconds": seconds, "sending": outcome, "reading": status}]


CASES = {
    "readers": readers,
    "crowd-kept": lambda *all: crowd(*all, 1000, get("/1mib.bin")),
    "crowd-at-once": lambda *all: crowd(*all, 100, get("/10mb.bin")),
    "crowd-apart": lambda *all: crowd(*all, 100, get("/10mb.bin"), 0.003),
    "crowd-closed": lambda *all: crowd(*all, 200, get("/1mib.bin", fields="Connection: close\r\n"),
                                       arguments=("--max-connections-per-client", "10")),
    "late": late,
    "body": body,
}


def in_a_namespace():
    """Does all of it in a network of its own, so that no other connection is counted."""
    if os.environ.get("SLOW_READERS_ALONE"):
        return
    os.environ["SLOW_READERS_ALONE"] = "1"
    inner = 'ip link set lo up && exec "$0" "$@"'
    command = ["unshare", "--map-root-user", "--net", "sh", "-c"]
    try:
        can = subprocess.run([*command, "ip link set lo up"], capture_output=True).returncode == 0
    except FileNotFoundError:
        can = False
    if can:
        os.execvp(command[0], [*command, inner, sys.executable, *sys.argv])
    print("no namespace can be made: other connections of this machine are counted, too", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--only", default="", help="cases in whose name this stands")
    parser.add_argument("--whole", action="store_true", help="slow readers to the end, for hours")
    parser.add_argument("--quick", action="store_true", help="short, to try whether it works")
    parser.add_argument("--name", default="", help="of the program, in the results")
    parser.add_argument("--out", type=Path)
    settings = parser.parse_args()
    in_a_namespace()
    program = str(Path(settings.program).resolve())
    rows = []
    for name, case in CASES.items():
        if settings.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            site = Path(folder) / "site"
            site.mkdir()
            for file, length in [("1mib.bin", 1 << 20), ("3mb.bin", 3_000_000),
                                 ("10mb.bin", 10_000_000), ("12mb.bin", LENGTH)]:
                (site / file).write_bytes(os.urandom(length))
            for row in case(program, site, settings):
                row = {"program": settings.name or program, "case": name, **row}
                print(", ".join(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)
                rows.append(row)
    if settings.out:
        raw.write(settings.out, rows)


if __name__ == "__main__":
    main()
