#!/usr/bin/env python3
"""What a guest in another language costs who is served: a remembered request with each
guest, remembered requests beside a flood of others, remembered requests while a large
guest is compiled, checked and put in service, and the memory of instances.

    host/benches/languages.py target/release/innkeeper NAME=GUEST... [--base NAME] [--rounds N]
        [--seconds N] [--out FILE]

    host/benches/languages.py target/release/innkeeper python=policy.wasm javascript=other.wasm

Each NAME is a word of yours; the built-in guest is measured beside them. What a language costs
tells only a comparison of guests that decide the same, such as what `innkeeper new` writes:
name the Rust one as the `--base`. A guest's fields in the answers cost in any language. Needs Linux,
Python 3.9, wrk and rustc. Prints the figures and writes them, with every single measurement, as
CSV (--out).
"""

import argparse
import collections
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import raw
from operations import Server, load

SERVERS = Path(__file__).parent / "servers"
# Of who asks for what is remembered: far less than a core can do.
RATE = 2000
# Of each server in a round.
TURNS = 5
CONNECTIONS = 16
FLOODING = 32
BUILT_IN = "built-in"


def settings(guest, cache):
    chosen = [] if guest is None else ["--guest", guest]
    return [*chosen, "--access-log", "off", "--code-cache", str(cache)]


def cpu_of_one(server, seconds):
    """CPU of the server for each request, in microseconds."""
    before = server.cpu_seconds()
    told = load(server.port, seconds)
    return (server.cpu_seconds() - before) / told["requests"] * 1e6


def remembered(program, site, guests, base, cache, rounds, seconds):
    """In each round all servers are new, as where a process lies in memory makes it faster or
    slower by some percent, and get their load in turns."""
    taken = collections.defaultdict(list)
    for _ in range(rounds):
        servers = {
            name: Server(program, site, settings(guest, cache)) for name, guest in guests.items()
        }
        for server in servers.values():
            load(server.port, 1)
        names = list(servers)
        for turn in range(TURNS):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                taken[name].append(cpu_of_one(servers[name], seconds))
        for server in servers.values():
            server.stop()
    for name, values in taken.items():
        of_rounds = [
            statistics.median(values[at : at + TURNS])
            / statistics.median(taken[base][at : at + TURNS])
            for at in range(0, len(values), TURNS)
        ]
        median = statistics.median(values)
        print(
            f"remembered, {name}: {median:.2f} us of CPU a request, "
            f"{median / statistics.median(taken[base]):.3f} of {base}; by round "
            f"{' '.join(f'{ratio:.3f}' for ratio in of_rounds)}"
        )
    return taken


def starts(program, site, guests, cache, rounds):
    """Milliseconds from the start to `listening`, with compiled code on disk."""
    taken = collections.defaultdict(list)
    for _ in range(rounds):
        for name, guest in guests.items():
            began = time.monotonic()
            server = Server(program, site, settings(guest, cache))
            taken[name].append((time.monotonic() - began) * 1e3)
            server.stop()
    for name, values in taken.items():
        print(f"start, {name}: {statistics.median(values):.0f} ms, at most {max(values):.0f}")
    return taken


def compile_paced(folder):
    """The client that asks at a fixed rate, so that an answer's time is the server's."""
    program = Path(folder) / "paced"
    source = SERVERS / "paced.rs"
    subprocess.run(["rustc", "-O", "--edition", "2021", "-o", program, source], check=True)
    return program


def result(told):
    return json.loads(re.search("RESULT (.*)", told)[1])


def ask(paced, port, seconds):
    command = [paced, port, "/1k.txt", RATE, CONNECTIONS, seconds]
    told = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    return result(told.stdout)


class Flood:
    """32 clients that ask for what nobody asked for before, one request after the other."""

    def __init__(self, port, seconds):
        self.process = subprocess.Popen(
            [
                *f"wrk -t1 -c{FLOODING} -d{seconds}s -s".split(),
                str(SERVERS / "wrk" / "unique.lua"),
                f"http://127.0.0.1:{port}/1k.txt",
                "--",
                uuid.uuid4().hex[:8],
            ],
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self):
        return result(self.process.communicate()[0])


def failures(runs):
    """Answers that say an error, and connections that ended, of all runs."""
    return sum(run["error_statuses"] + sum(run["errors"].values()) for run in runs)


def slow(runs, share="p99_us"):
    return statistics.median(run[share] for run in runs) / 1e3


def beside_a_flood(program, paced, site, guests, cache, rounds, seconds):
    results = {}
    for name, guest in guests.items():
        server = Server(program, site, settings(guest, cache))
        ask(paced, server.port, 1)
        idle = server.memory_kib()
        alone, beside, floods = [], [], []
        for _ in range(rounds):
            alone.append(ask(paced, server.port, seconds))
            flood = Flood(server.port, seconds + 1)
            time.sleep(0.5)
            beside.append(ask(paced, server.port, seconds))
            floods.append(flood.end())
        memory = server.memory_kib()
        server.stop()
        asked = sum(flood["requests"] for flood in floods)
        refused = sum(flood["error_statuses"] for flood in floods)
        print(
            f"flood, {name}: remembered requests, p50 and p99: {slow(alone, 'p50_us'):.2f} and "
            f"{slow(alone):.2f} ms alone, {slow(beside, 'p50_us'):.2f} and {slow(beside):.2f} ms "
            f"beside the flood, {failures(alone + beside)} failed; of {asked} requests of the "
            f"flood {refused} were told to come again; memory at its highest {idle} KiB before, "
            f"{memory} KiB after"
        )
        results[name] = {
            "alone": alone,
            "beside": beside,
            "floods": floods,
            "memory_kib": [idle, memory],
        }
    return results


def while_swapping(program, paced, site, guests, seconds):
    """Remembered requests while a guest is compiled that was never compiled before."""
    results = {}
    for name, guest in guests.items():
        if guest is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            endpoint = Path(folder) / "admin"
            cache = Path(folder) / "cache"
            server = Server(
                program, site, [*settings(None, cache), "--admin", f"unix:{endpoint}"]
            )
            ask(paced, server.port, 1)
            alone = [ask(paced, server.port, seconds) for _ in range(3)]
            swap = Swap(endpoint, Path(guest))
            during = []
            while not swap.is_over:
                during.append(ask(paced, server.port, seconds))
            took, told = swap.end()
            server.stop()
        worst = max(run["p99_us"] for run in during) / 1e3
        print(
            f"swap to {name} ({Path(guest).stat().st_size >> 10} KiB): {took:.1f} s, {told}; p99 "
            f"alone {slow(alone):.2f} ms, during it {slow(during):.2f} ms (the worst {seconds} s: "
            f"{worst:.2f} ms); {failures(alone + during)} failed"
        )
        results[name] = {"alone": alone, "during": during, "seconds": took}
    return results


class Swap:
    """Hands a guest over, and waits for what becomes of it."""

    def __init__(self, endpoint, guest):
        self.endpoint = str(endpoint)
        self.guest = guest
        self.is_over = False
        self.answer = None
        self.thread = threading.Thread(target=self.hand_over)
        self.began = time.monotonic()
        self.thread.start()

    def hand_over(self):
        body = self.guest.read_bytes()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(300)
            connection.connect(self.endpoint)
            head = f"PUT /guest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
            answer = b""
            while more := connection.recv(1 << 16):
                answer += more
        self.answer = answer.split(b"\r\n", 1)[0].decode()
        self.took = time.monotonic() - self.began
        self.is_over = True

    def end(self):
        self.thread.join()
        return self.took, self.answer


def rows(results):
    """A row for each measurement."""
    for figure, unit in (("start", "starts_ms"), ("cached request", "remembered_us")):
        column = "ms" if unit.endswith("ms") else "cpu_us_per_request"
        for guest, values in results[unit].items():
            for round, value in enumerate(values, 1):
                yield {"figure": figure, "guest": guest, "round": round, column: value}
    for guest, found in results["flood"].items():
        for figure, runs in (("alone", "alone"), ("beside a flood", "beside"), ("flood", "floods")):
            for round, run in enumerate(found[runs], 1):
                yield {"figure": figure, "guest": guest, "round": round} | run
        for figure, kib in zip(("before the flood", "after the flood"), found["memory_kib"]):
            yield {"figure": figure, "guest": guest, "peak_memory_kib": kib}
    for guest, found in results["swap"].items():
        for figure, runs in (("before a swap", "alone"), ("during a swap", "during")):
            for round, run in enumerate(found[runs], 1):
                yield {"figure": figure, "guest": guest, "round": round} | run
        yield {"figure": "swap", "guest": guest, "ms": found["seconds"] * 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("guests", nargs="+", metavar="NAME=GUEST")
    parser.add_argument("--base", default=BUILT_IN)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="CSV")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed")
    guests = {BUILT_IN: None}
    for given in arguments.guests:
        name, is_there, guest = given.partition("=")
        if not is_there or not Path(guest).is_file():
            sys.exit(f"{given}: write NAME=GUEST, with the file of a guest")
        guests[name] = guest
    base = arguments.base
    if base not in guests:
        sys.exit(f"--base {base}: there are {', '.join(guests)}")
    rounds, seconds = arguments.rounds, arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        site, cache = Path(folder) / "site", Path(folder) / "cache"
        paced = compile_paced(folder)
        site.mkdir()
        (site / "1k.txt").write_bytes(bytes(1024))
        results = {
            # The first start compiles.
            "starts_ms": starts(arguments.program, site, guests, cache, 1 + rounds),
            "remembered_us": remembered(
                arguments.program, site, guests, base, cache, rounds, max(1, seconds // 2)
            ),
            "flood": beside_a_flood(
                arguments.program, paced, site, guests, cache, rounds, seconds
            ),
            "swap": while_swapping(arguments.program, paced, site, guests, seconds),
        }
    if arguments.out:
        raw.write(arguments.out, rows(results))


if __name__ == "__main__":
    main()
