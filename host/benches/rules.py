#!/usr/bin/env python3
"""What rules cost: requests under 300 rules, a saved `_redirects`, a start with 10,000 redirects.

    host/benches/rules.py target/release/innkeeper [--base OTHER] [--rounds N] [--out FILE]

Both servers of a comparison run at the same time and are loaded in turns: the default guest, and
a `_redirects` and `_headers` of 300 rules together that concern other paths (`unmatched`), or one
of which adds a field to the response (`matched`). `fresh` is the same with a new query for each request, under
1,000 redirects. A ratio is that of CPU time for a request within one round; the median of the rounds is
printed. `save` is the time from the rename that saves a `_redirects` to the first response that
obeys it, asked for every millisecond on an idle server. `start` is from `exec` to the first
response. With --base, another binary to compare the size with. Needs Linux, Python 3.9 and wrk.
"""

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import operations
import raw

SCRIPTS = Path(__file__).parent / "servers" / "wrk"
CONNECTIONS = 64
# Goals: ratios, milliseconds, KiB.
GOALS = {
    "hot, unmatched": 1.03, "hot, matched": 1.03, "fresh": 3,
    "save, 10 redirects": 300, "save, 1000 redirects": 300, "start, 10000 redirects": 200,
    "size": 300,
}


class Server(operations.Server):
    def __init__(self, program, site, cache):
        self.began = time.monotonic()
        super().__init__(program, site, ["--workers", "1", "--access-log", "off",
                                         "--code-cache", str(cache)])

    def cpu_seconds(self):
        """Of all its threads, to the nanosecond."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def get(self, path):
        """The head of a response, on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            response = b"".join(iter(lambda: client.recv(1 << 16), b""))
        return response.split(b"\r\n\r\n")[0].decode()


def load(server, seconds, script, argument):
    """CPU microseconds for a request."""
    before = server.cpu_seconds()
    told = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPTS / script),
         f"http://127.0.0.1:{server.port}/1k.txt", "--", str(argument)],
        capture_output=True, text=True, check=True,
    ).stdout
    requests = int(re.search(r"(\d+) requests in", told)[1])
    if re.search(r"Socket errors|Non-2xx", told):
        sys.exit(told)
    return (server.cpu_seconds() - before) / requests * 1e6


def redirects(count, generation=0):
    """Lines of `_redirects`: most are plain, some have placeholders or a splat."""
    lines = []
    for number in range(count):
        if number % 10 == 8:
            lines.append(f"/section-{number}/:year/:slug /archive/:year/{number}/:slug 301")
        elif number % 10 == 9:
            lines.append(f"/tree-{number}/* /moved/{number}/:splat 302")
        else:
            lines.append(f"/old/page-{number}.html /new/{generation}/page-{number} 301")
    return "".join(line + "\n" for line in lines)


def headers(count, is_matched):
    blocks = [f"/part-{number}/*\n  X-Part: {number}\n" for number in range(count - is_matched)]
    return "".join(blocks + ["/*.txt\n  X-Text: yes\n"] * is_matched)


def site(folder, name, count=0, header_rules=0, is_matched=False):
    site = folder / name
    site.mkdir()
    (site / "1k.txt").write_bytes(b"x" * 1024)
    (site / "index.html").write_text("<!doctype html><title>rules</title>\n")
    if count:
        (site / "_redirects").write_text(redirects(count))
    if header_rules:
        (site / "_headers").write_text(headers(header_rules, is_matched))
    return site


def compared(program, cache, sites, script, rounds, seconds):
    """The ratio of each round of loading two sites, the second over the first, and all figures."""
    servers = [Server(program, site, cache) for site in sites]
    for server in servers:
        load(server, 1, script, "warm")
    found = []
    for number in range(rounds):
        # The order changes, so that neither has the better turn.
        turns = servers if number % 2 else servers[::-1]
        micros = {id(server): load(server, seconds, script, number) for server in turns}
        found.append([micros[id(server)] for server in servers])
    for server in servers:
        server.stop()
    return found


def saved(program, cache, site, count, times):
    """Milliseconds from a saved `_redirects` to its service."""
    server = Server(program, site, cache)
    # It is up to date, and nothing is compiled any more.
    time.sleep(1)
    found = []
    for generation in range(1, times + 1):
        new = site / "_redirects.new"
        new.write_text(redirects(count, generation))
        began = time.monotonic()
        new.rename(site / "_redirects")
        while f"/new/{generation}/" not in server.get("/old/page-0.html"):
            if time.monotonic() > began + 20:
                sys.exit("a saved _redirects is never obeyed")
            time.sleep(0.001)
        found.append((time.monotonic() - began) * 1e3)
        time.sleep(0.5)
    server.stop()
    return found


def starts(program, cache, site, times):
    """Milliseconds from `exec` to the first response, once the rules have been compiled."""
    found = []
    for _ in range(times + 1):
        server = Server(program, site, cache)
        head = server.get("/old/page-0.html")
        found.append((time.monotonic() - server.began) * 1e3)
        server.stop()
        if " 301 " not in head:
            sys.exit(f"not a redirect: {head}")
    return found[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--base", type=Path, help="a binary without rules, to compare the size with")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--times", type=int, default=11, help="saves and starts")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("rules.py needs wrk; for example `apt-get install wrk`")
    program = str(Path(arguments.program).resolve())
    rows = []

    def tell(figure, unit, values, more=()):
        """Prints a figure and keeps its rounds, each with more columns if there are some."""
        more = more or [{}] * len(values)
        rows.extend({"figure": figure, "round": number, **columns, "value": value}
                    for number, (value, columns) in enumerate(zip(values, more), 1))
        median, goal = statistics.median(values), GOALS[figure]
        note = "" if median <= goal else " MISSED"
        print(f"{figure:24} {median:8.3f} {unit:5} from {min(values):.3f} to {max(values):.3f}, "
              f"at most {goal}{note}")

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        cache = folder / "cache"
        cache.mkdir(mode=0o700)
        plain = site(folder, "plain")
        others = [
            ("hot, unmatched", "same.lua", site(folder, "unmatched", 200, 100)),
            ("hot, matched", "same.lua", site(folder, "matched", 200, 100, is_matched=True)),
            ("fresh", "unique.lua", site(folder, "fresh", 1000)),
        ]
        for figure, script, other in others:
            found = compared(
                program, cache, (plain, other), script, arguments.rounds, arguments.seconds
            )
            tell(figure, "x", [rules / default for default, rules in found],
                 [{"default_us": default, "rules_us": rules} for default, rules in found])
        for count in (10, 1000):
            found = saved(program, cache, site(folder, f"save-{count}", count), count, arguments.times)
            tell(f"save, {count} redirects", "ms", found)
        found = starts(program, cache, site(folder, "start", 10_000), arguments.times)
        tell("start, 10000 redirects", "ms", found)
    if arguments.base:
        grown = (Path(program).stat().st_size - arguments.base.stat().st_size) / 1024
        tell("size", "KiB", [grown])
    if arguments.out:
        raw.write(arguments.out, rows)


if __name__ == "__main__":
    main()
