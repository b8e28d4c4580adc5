#!/usr/bin/env python3
"""What a guest in another language costs who is served: a remembered request with each
guest, remembered requests beside a flood of others, remembered requests while a large
guest is compiled, checked and put in service, and the memory of instances.

    host/benches/languages.py target/release/innkeeper NAME=GUEST... [--rounds N] [--seconds N]
        [--out FILE]

    host/benches/languages.py target/release/innkeeper python=policy.wasm javascript=other.wasm

Each NAME is a word of yours; the built-in guest is measured beside them. Needs Linux,
Python 3.9 and wrk. Prints the figures and writes them, with every single measurement, as
JSON (languages.json).
"""

import argparse
import collections
import json
import re
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from operations import Server, load

FLOODING = 32
BUILT_IN = "built-in"


def p99_ms(told):
    """wrk writes 950.00us, 4.30ms or 1.02s."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", told["p99"]).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def failed(runs):
    """Errors of any kind, of all runs."""
    return sum(one["wrong"] for one in runs), [one["errors"] for one in runs if one["errors"]]


def settings(guest, cache):
    chosen = [] if guest is None else ["--guest", guest]
    return [*chosen, "--access-log", "off", "--code-cache", str(cache)]


def cpu_of_one(server, seconds):
    """CPU of the server for each request, in microseconds."""
    before = server.cpu_seconds()
    told = load(server.port, seconds)
    return (server.cpu_seconds() - before) / told["requests"] * 1e6


def remembered(program, site, guests, cache, rounds, seconds):
    """All servers are there all the time, and get their load in turns."""
    servers = {
        name: Server(program, site, settings(guest, cache)) for name, guest in guests.items()
    }
    for server in servers.values():
        load(server.port, 1)
    taken = collections.defaultdict(list)
    for turn in range(rounds):
        names = list(servers)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken[name].append(cpu_of_one(servers[name], seconds))
    for server in servers.values():
        server.stop()
    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, median in medians.items():
        # The ratio of each round is that of neighbours in time.
        ratios = [one / base for one, base in zip(taken[name], taken[BUILT_IN])]
        print(
            f"remembered, {name}: {median:.2f} us of CPU a request, "
            f"{statistics.median(ratios):.3f} of the built-in guest's"
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


class Flood:
    """Clients that ask for what nobody asked for before, one request after the other."""

    def __init__(self, port, clients=FLOODING):
        self.port, self.is_over = port, False
        self.statuses = collections.Counter()
        self.threads = [
            threading.Thread(target=self.ask, args=(number,)) for number in range(clients)
        ]
        for thread in self.threads:
            thread.start()

    def ask(self, number):
        # Ends by itself, should nobody end it.
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        answers = connection.makefile("rb")
        asked = 0
        while not self.is_over:
            asked += 1
            connection.sendall(f"GET /1k.txt?{number}-{asked} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            status = answers.readline().split()[1].decode()
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            answers.read(length)
            self.statuses[status] += 1

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        return dict(self.statuses)


def beside_a_flood(program, site, guests, cache, rounds, seconds):
    results = {}
    for name, guest in guests.items():
        server = Server(program, site, settings(guest, cache))
        load(server.port, 1)
        alone, beside, statuses = [], [], collections.Counter()
        for _ in range(rounds):
            alone.append(load(server.port, seconds))
            flood = Flood(server.port)
            time.sleep(0.5)
            beside.append(load(server.port, seconds))
            statuses.update(flood.end())
        memory = server.memory_kib()
        server.stop()
        p99 = {
            when: statistics.median(p99_ms(one) for one in told)
            for when, told in (("alone", alone), ("beside", beside))
        }
        print(
            f"flood, {name}: p99 of remembered requests {p99['alone']:.2f} ms alone, "
            f"{p99['beside']:.2f} ms beside {FLOODING} clients who ask for something new each "
            f"time ({dict(statuses)}); failed {failed(alone + beside)}; memory at its highest {memory} KiB"
        )
        results[name] = {
            "alone": alone,
            "beside": beside,
            "statuses": statuses,
            "memory_kib": memory,
        }
    return results


def while_swapping(program, site, guests, seconds):
    """Remembered requests while a guest is compiled that was never compiled before."""
    results = {}
    for name, guest in guests.items():
        if guest is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            endpoint = Path(folder) / "admin"
            server = Server(
                program,
                site,
                [*settings(None, Path(folder) / "cache"), "--admin", f"unix:{endpoint}"],
            )
            load(server.port, 1)
            alone = load(server.port, seconds)
            swap = Swap(endpoint, Path(guest))
            during = []
            while not swap.is_over:
                during.append(load(server.port, 1))
            took, told = swap.end()
            server.stop()
        p99 = [p99_ms(one) for one in during]
        print(
            f"swap to {name} ({Path(guest).stat().st_size >> 10} KiB): {took:.1f} s, {told}; p99 "
            f"alone {p99_ms(alone):.2f} ms, during it {statistics.median(p99):.2f} ms "
            f"(each second; at most {max(p99):.2f}); failed {failed(during)}"
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("guests", nargs="+", metavar="NAME=GUEST")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--out", default="languages.json")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed")
    guests = {BUILT_IN: None}
    for given in arguments.guests:
        name, is_there, guest = given.partition("=")
        if not is_there or not Path(guest).is_file():
            sys.exit(f"{given}: write NAME=GUEST, with the file of a guest")
        guests[name] = guest
    rounds, seconds = arguments.rounds, arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        site, cache = Path(folder) / "site", Path(folder) / "cache"
        site.mkdir()
        (site / "1k.txt").write_bytes(bytes(1024))
        results = {
            # The first start compiles.
            "starts_ms": starts(arguments.program, site, guests, cache, 1 + rounds),
            "remembered_us": remembered(
                arguments.program, site, guests, cache, 3 * rounds, max(1, seconds // 2)
            ),
            "flood": beside_a_flood(arguments.program, site, guests, cache, rounds, seconds),
            "swap": while_swapping(arguments.program, site, guests, seconds),
        }
    Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
