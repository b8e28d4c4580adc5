#!/usr/bin/env python3
"""What small things cost: the page of a 404 beside its line of text, a Unix socket beside TCP, each
form of the access log and the administration beside none; and how large and how fast pages are that
the server makes.

    host/benches/small_costs.py target/release/innkeeper [--rounds N] [--out FILE]

One worker has one client, which sends 16 requests at a time. Figures are of the server's processor
for a request, by /proc: the lower quartiles of the rounds, as what else runs only adds to them. All
rounds have each setup in turn.
Needs Linux and Python 3.9. Ends with status 1 if a page is larger or slower than it may be.
"""

import argparse
import csv
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REQUESTS = 4_000
AT_A_TIME = 16
# Of one connection: --keepalive-requests allows 1,000.
ON_A_CONNECTION = 800
ENTRIES = 10_000
LISTINGS = 7
AT_MOST = {
    "listing_ms": 100, "listing_bytes": 1_000_000, "listing_gzip_ms": 150, "listing_gzip_bytes": 150_000,
    "admin_page_bytes": 60_000,
}

FILE = ("/a.txt", "*/*")
# Name, arguments, request, and what it is compared with.
SETUPS = [
    ("file, TCP, no log", ["--access-log", "off"], FILE, None),
    ("file, Unix socket", ["--access-log", "off", "--listen", "unix:SOCKET"], FILE, 0),
    ("file, combined log", ["--access-log", "combined"], FILE, 0),
    ("file, vhost-combined log", ["--access-log", "vhost-combined"], FILE, 0),
    ("file, JSON log", ["--access-log", "json"], FILE, 0),
    ("file, --admin", ["--access-log", "off", "--admin", "127.0.0.1:0"], FILE, 0),
    ("404, text", ["--access-log", "off"], ("/missing", "*/*"), None),
    ("404, page", ["--access-log", "off"], ("/missing", "text/html,*/*;q=0.8"), 6),
]


class Server:
    def __init__(self, program, site, folder, arguments):
        self.path = str(Path(folder) / "socket")
        self.is_unix = any("SOCKET" in argument for argument in arguments)
        arguments = [argument.replace("SOCKET", self.path) for argument in arguments]
        listen = [] if self.is_unix else ["--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [program, str(site), "--workers", "1", *listen, *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.port = self.admin = None
        for line in self.process.stderr:
            if match := re.search(r"listening on http://127.0.0.1:(\d+)", line):
                self.port = int(match[1])
            if match := re.search(r"administration at http://127.0.0.1:(\d+)", line):
                self.admin = int(match[1])
            wanted = "administration at" if "--admin" in arguments else "listening on"
            if wanted in line:
                break
        else:
            sys.exit(f"{program} does not start with {arguments}")

    def connect(self):
        if not self.is_unix:
            return socket.create_connection(("127.0.0.1", self.port), 30)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(self.path)
        return connection

    def processor_ns(self):
        """Of all threads. One that ends meanwhile would be missing; workers do not."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def response_of(connection, path, accept):
    """The first response, of a known length."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 16)
    head, body = received.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(1 << 20)
    return head, body


def ask(server, path, accept, requests):
    batch = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode() * AT_A_TIME
    for _ in range(requests // ON_A_CONNECTION):
        with server.connect() as connection:
            head, body = response_of(connection, path, accept)
            size = (len(head) + 4 + len(body)) * AT_A_TIME
            for _ in range(ON_A_CONNECTION // AT_A_TIME):
                connection.sendall(batch)
                left = size
                while left:
                    received = len(connection.recv(min(left, 1 << 18)))
                    if not received:
                        sys.exit("the server closed the connection")
                    left -= received


def measure(server, path, accept):
    ask(server, path, accept, ON_A_CONNECTION)
    before = server.processor_ns()
    ask(server, path, accept, REQUESTS)
    return (server.processor_ns() - before) / REQUESTS


def pages(program, folder):
    """Sizes in bytes, and the milliseconds of a listing that nobody asked for before."""
    site = Path(folder) / "many"
    for copy in range(LISTINGS):
        (site / str(copy)).mkdir(parents=True)
        for number in range(ENTRIES):
            (site / str(copy) / f"picture-{number}.jpg").touch()
    server = Server(program, site, folder, ["--listing", "--admin", "127.0.0.1:0"])
    try:
        figures = {}
        for name, accept in (
            ("listing", "text/html"),
            ("listing_gzip", "text/html\r\nAccept-Encoding: gzip"),
        ):
            times = []
            for copy in range(LISTINGS):
                with server.connect() as connection:
                    began = time.monotonic()
                    _, body = response_of(connection, f"/{copy}/", accept)
                    times.append((time.monotonic() - began) * 1000)
            figures |= {f"{name}_ms": statistics.median(times), f"{name}_bytes": len(body)}
        total = 0
        for path in ("/", "/style.css", "/script.js"):
            with socket.create_connection(("127.0.0.1", server.admin), 30) as connection:
                total += len(response_of(connection, path, "*/*")[1])
        return {**figures, "admin_page_bytes": total}
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out")
    options = parser.parse_args()
    program, rows = os.path.abspath(options.program), []
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        site.mkdir()
        (site / "a.txt").write_text("hello\n" * 20)
        servers = [Server(program, site, Path(tempfile.mkdtemp(dir=folder)), arguments)
                   for _, arguments, _, _ in SETUPS]
        taken = [[] for _ in SETUPS]
        for number in range(options.rounds):
            for at, (name, _, request, _) in enumerate(SETUPS):
                taken[at].append(measure(servers[at], *request))
                rows.append({"round": number, "what": name, "value": round(taken[at][-1])})
        for server in servers:
            server.stop()
        low = [statistics.quantiles(values, n=4)[0] for values in taken]
        for at, (name, _, _, base) in enumerate(SETUPS):
            line = f"{name:28} {low[at] / 1000:6.2f} µs"
            if base is not None:
                line += f"  ×{low[at] / low[base]:.2f} of {SETUPS[base][0]}"
            print(line)
        figures = pages(program, folder)
    for name, value in figures.items():
        print(f"{name:28} {value:,.0f} (at most {AT_MOST[name]:,})")
        rows.append({"round": 0, "what": name, "value": round(value)})
    if options.out:
        with open(options.out, "w", newline="") as file:
            writer = csv.DictWriter(file, ["round", "what", "value"])
            writer.writeheader()
            writer.writerows(rows)
    if over := [name for name, value in figures.items() if value > AT_MOST[name]]:
        sys.exit(f"more than allowed: {', '.join(over)}")


if __name__ == "__main__":
    main()
