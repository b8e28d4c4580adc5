#!/usr/bin/env python3
"""Slow and rude clients: what honest ones notice of them, and what they cost the server.

    host/benches/rude.py target/release/innkeeper [--seconds N] [--rounds N] [--connections N]
        [--only WORDS] [--no-slowhttptest] [--nginx] [--quick] [--out FILE]

For each kind of rude client, p99 of honest ones without and beside a crowd of them, in
turns; and the server's memory and descriptors before, meanwhile and after. slowhttptest
is run as well if it is installed. With --nginx the same is done to nginx, in turns: what
honest clients notice there too may be the machine's doing. Prints a table and writes all
results as CSV (--out). Ends with 1 if an honest request failed or a descriptor was not given back.

Needs Linux, Python 3.9 and, for half-open connections of clients that vanish, CAP_NET_ADMIN.
"""

import argparse
import collections
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import raw
from clients import nginx
from clients.honest import CONNECTIONS, Honest
from clients.rude import KINDS, Crowd, Kind
from clients.server import held, tcp_memory_kib, wait_for_descriptors
from operations import Server

FILES = 40
MIDDLE_BYTES = 256 << 10
LARGE_BYTES = 100 << 20

# Descriptors of a server that is to be flooded: room for about 200 connections.
FLOODED_DESCRIPTORS = 600
FLOOD_AT_LEAST = 600

# Until the server has closed what its clients left without a word: it waits for 30 seconds
# for their first byte, and is told nothing.
PATIENCE = 45

# Descriptors that a server may hold more after than before: none of a connection, but a
# file that it keeps open for each of its workers, and threads of its runtime that come late.
SPARE_DESCRIPTORS = 4

# How long the server's CPU time is looked at to tell whether a crowd keeps it busy.
CALM_WINDOW = 0.4

# When honest clients are measured.
WHEN = ("idle", "coming", "beside")

HEAD = """\
| kind | connections | p99 idle | while they come | p99 beside | ratio | the same of nginx \
| memory before / meanwhile / after; of the kernel's TCP | descriptors | honest failures | what rude ones got |
|---|---|---|---|---|---|---|---|---|---|---|"""

# Settings of slowhttptest: all connections within two seconds, something each second.
TOOL_SECONDS = 15
TOOL = {
    "slowhttptest -H, slow head": ["-H", "-x", "24", "-u", "/0.txt"],
    "slowhttptest -B, slow body": ["-B", "-x", "10", "-s", "8192", "-u", "/0.txt"],
    "slowhttptest -R, many ranges": ["-R", "-a", "10", "-b", "3000", "-u", "/middle.bin"],
    "slowhttptest -X, slow read": ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32",
                                   "-u", "/large.bin"],
}


class Tool:
    """slowhttptest, in place of a crowd."""

    arrival_seconds = 3

    def __init__(self, options, port, count):
        options = [f"http://127.0.0.1:{port}{one}" if one.startswith("/") else one for one in options]
        # It tells nothing if it is stopped earlier.
        self.command = ["nice", "slowhttptest", *options, "-c", str(count), "-r", "1000",
                        "-i", "1", "-l", str(TOOL_SECONDS), "-p", "2"]
        self.told = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        return self

    def gather(self, _seconds):
        """It does not tell."""

    def __exit__(self, *_):
        said = re.sub(r"\x1b\[[\d;]*m", "", self.process.communicate()[0])
        available = collections.Counter(re.findall(r"service available:\s*(\w+)", said))
        ended = re.findall(r"Exit status:\s*(.*)", said)
        states = re.findall(r"(initializing|pending|connected|error|closed):\s*(\d+)", said)
        told = {f"service available: {word}": count for word, count in available.items()}
        self.told = {"outcomes": told | {one: 1 for one in ended}, "connections": dict(states),
                     "most_connected": max((int(count) for state, count in states
                                            if state == "connected"), default=0)}


class Newcomer(threading.Thread):
    """A client that asks while there is no room; `at` is when it had its answer."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.at = port, None
        self.start()

    def run(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
                connection.sendall(b"GET /0.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                if connection.recv(12) == b"HTTP/1.1 200":
                    self.at = time.monotonic()
        except OSError:
            # There is no answer then, which is told.
            pass


def make_site(folder):
    files = {}
    for number in range(FILES):
        files[f"/{number}.txt"] = f"{number:1023}\n".encode()
        (folder / f"{number}.txt").write_bytes(files[f"/{number}.txt"])
    (folder / "middle.bin").write_bytes(bytes(MIDDLE_BYTES))
    with open(folder / "large.bin", "wb") as large:
        large.truncate(LARGE_BYTES)
    return files


def with_few_descriptors(program, folder):
    """A program that starts the server with a low limit."""
    script = folder / "flooded"
    script.write_text(f'#!/bin/sh\nulimit -n {FLOODED_DESCRIPTORS}\nexec "{program}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def is_calm(server):
    """Whether the server has little to do: a quarter of a core at most."""
    before = server.cpu_seconds()
    time.sleep(CALM_WINDOW)
    return server.cpu_seconds() - before < CALM_WINDOW / 4


def warm_up(server, files):
    """What it keeps of files and of memory it has then."""
    with Honest(server.port, files) as honest:
        honest.connect(CONNECTIONS)
        honest.start(0.5)
        honest.finish()
    for path in ("/large.bin", "/middle.bin") * 4:
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.sendall(f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            while one.recv(4096):
                pass


def measured(server, honest, seconds):
    before = server.cpu_seconds()
    honest.start(seconds)
    found = honest.finish()
    found["server_cpu_seconds"] = round(server.cpu_seconds() - before, 2)
    return found


def one_round(server, files, kind, count, seconds):
    """Honest clients without and beside a crowd."""
    floods = isinstance(kind, Kind) and kind.floods
    found = {}
    with Honest(server.port, files) as honest:
        failed = [honest.connect(CONNECTIONS)]
        found["idle"] = measured(server, honest, seconds)
    with Honest(server.port, files) as honest:
        # Some are there before the crowd, and some come when it is there; at a cap only who
        # is in already can be served.
        early = CONNECTIONS if floods else CONNECTIONS // 2
        failed.append(honest.connect(early))
        crowd = (Crowd if isinstance(kind, Kind) else Tool)(kind, server.port, count)
        with crowd:
            honest.start(crowd.arrival_seconds)
            found["coming"] = honest.finish()
            began = time.monotonic()
            crowd.gather(PATIENCE)
            while not is_calm(server) and time.monotonic() < began + PATIENCE:
                pass
            found["calm_after_seconds"] = round(time.monotonic() - began, 1)
            newcomer = Newcomer(server.port) if floods else None
            failed.append(honest.connect(CONNECTIONS - early))
            found["beside"] = measured(server, honest, seconds)
            found["meanwhile"] = held(server.process.pid) | {"tcp_kib": tcp_memory_kib()}
    found["rude"] = crowd.told
    found["not_connected"] = [one for one in failed if one]
    if floods:
        late = Newcomer(server.port)
        for who, client in (("who_waited", newcomer), ("who_came_then", late)):
            client.join()
            found[f"let_in_{who}_seconds"] = (
                max(0, round(client.at - crowd.told["gone"], 3)) if client.at else None
            )
    return found


def try_kind(program, folder, files, kind, settings):
    """All rounds of one kind, on a server of its own."""
    count = settings.connections
    floods = isinstance(kind, Kind) and kind.floods
    if floods:
        program = with_few_descriptors(program, folder)
        count = max(count, FLOOD_AT_LEAST)
    arguments = ["--access-log", "off", "--code-cache", str(folder / "cache")]
    server = Server(program, folder / "site", arguments)
    warm_up(server, files)
    time.sleep(CALM_WINDOW)
    pid = server.process.pid
    found = {"connections": count, "before": held(pid), "rounds": [], "nginx": []}
    # A flood ends at innkeeper's cap, which is not nginx's.
    rival = nginx.Nginx(folder / "site", folder) if settings.nginx and not floods else None
    for _ in range(settings.rounds):
        one = one_round(server, files, kind, count, settings.seconds)
        one["given_back_seconds"] = wait_for_descriptors(
            pid, found["before"]["descriptors"] + SPARE_DESCRIPTORS, PATIENCE)
        found["rounds"].append(one)
        if rival:
            one = one_round(rival, files, kind, count, settings.seconds)
            one["meanwhile"] = {"tcp_kib": one["meanwhile"]["tcp_kib"]}
            found["nginx"].append(one)
    if rival:
        rival.stop()
    found["after"] = held(pid)
    server.stop()
    found["failed"] = sum(
        len(one["not_connected"]) + sum(len(one[when]["failures"]) for when in WHEN)
        for one in found["rounds"])
    found["leaked"] = any(one["given_back_seconds"] is None for one in found["rounds"])
    return found


def p99(rounds, when):
    values = [one[when]["p99_ms"] for one in rounds if one[when]["p99_ms"] is not None]
    return statistics.median(values) if values else float("nan")


def row(name, found):
    """A line of the table."""
    rounds = found["rounds"]
    idle, coming, beside = (p99(rounds, when) for when in WHEN)
    rival = [p99(found["nginx"], when) for when in WHEN]
    rival = "{:.2f}, {:.2f}, {:.2f} ms; {:.2f}".format(*rival, rival[2] / rival[0]) if found["nginx"] else ""
    states = [found["before"], rounds[-1]["meanwhile"], found["after"]]
    memory = " / ".join(f"{one['rss_kib'] / 1024:.1f}" for one in states)
    most = found["after"]["most_rss_kib"] / 1024
    numbers = " / ".join(str(one["descriptors"]) for one in states)
    back = ", ".join(str(one["given_back_seconds"]) for one in rounds)
    got = collections.Counter()
    for one in rounds:
        got.update(one["rude"]["outcomes"])
    got = [f"{count:,} × {what}" for what, count in got.most_common()]
    if "let_in_who_waited_seconds" in rounds[0]:
        told = ", ".join(f"{one['let_in_who_waited_seconds']} and {one['let_in_who_came_then_seconds']}"
                         for one in rounds)
        got.append(f"honest ones that waited, and that came then, were let in after {told} s")
    tcp = rounds[-1]["meanwhile"]["tcp_kib"] / 1024
    return (f"| {name} | {found['connections']:,} | {idle:.2f} ms | {coming:.2f} ms | {beside:.2f} ms "
            f"| {beside / idle:.2f} | {rival} | {memory}, at most {most:.1f} MiB; {tcp:.0f} MiB "
            f"| {numbers}, back in {back} s | {found['failed']} | {'; '.join(got)} |")


def rows(results):
    """A row for each round of each kind, and its phases."""
    for kind, found in results.items():
        for server, rounds in (("innkeeper", found["rounds"]), ("nginx", found.get("nginx", []))):
            for number, one in enumerate(rounds, 1):
                measured = {
                    "alone" if when == "idle" else when:
                        one[when] | {"failures": len(one[when]["failures"])} for when in WHEN
                }
                outcomes = [f"{count} x {what}" for what, count in one["rude"]["outcomes"].items()]
                rest = {name: value for name, value in one.items()
                        if name not in (*WHEN, "rude", "not_connected")}
                memory = {"before": found["before"], "after": found["after"]}
                yield {"kind": kind, "connections": found["connections"], "server": server,
                       "round": number, **measured, **rest,
                       **(memory if server == "innkeeper" else {}),
                       "came": one["rude"]["came"], "outcomes": outcomes,
                       "not_connected": len(one["not_connected"])}


def try_all(settings, kinds, try_kind, describe):
    """What is found of each kind, with a site of its own. Prints what describes it as it comes."""
    program = str(Path(settings.program).resolve())
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "site").mkdir()
        files = make_site(folder / "site")
        for name, kind in kinds.items():
            results[name] = try_kind(program, folder, files, kind, settings)
            print(describe(name, results[name]), flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--only", default="", help="kinds in whose name this stands")
    parser.add_argument("--no-slowhttptest", action="store_true", help="own clients alone")
    parser.add_argument("--nginx", action="store_true", help="nginx beside it")
    parser.add_argument("--quick", action="store_true",
                        help="200 connections, one round of one second, without slowhttptest")
    parser.add_argument("--out", type=Path)
    settings = parser.parse_args()
    if settings.quick:
        settings.seconds, settings.rounds, settings.connections = 1, 1, 200
    kinds = {kind.name: kind for kind in KINDS}
    if not (settings.quick or settings.no_slowhttptest):
        if shutil.which("slowhttptest"):
            kinds |= TOOL
        else:
            print("slowhttptest is not installed, and left out\n")
    kinds = {name: kind for name, kind in kinds.items() if settings.only in name}
    if not kinds:
        sys.exit(f"no kind of client has {settings.only!r} in its name")
    if settings.nginx and not nginx.find():
        sys.exit("nginx is not installed; for example `apt-get install nginx-light`")
    print(HEAD, flush=True)
    results = try_all(settings, kinds, try_kind, row)
    if settings.out:
        raw.write(settings.out, rows(results))
    bad = [name for name, found in results.items() if found["failed"] or found["leaked"]]
    if bad:
        sys.exit(f"honest requests failed, or descriptors were not given back: {', '.join(bad)}")


if __name__ == "__main__":
    main()
