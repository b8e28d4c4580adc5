#!/usr/bin/env python3
"""Mixed traffic for a long time, while guests are swapped, the site is edited, the log is
rotated and rude clients come and go: every answer is checked.

    host/benches/soak.py target/release/innkeeper [--minutes N] [--rate N] [--out FILE]
        [--chart FILE]

Each answer is held, byte for byte, against what the site held then (`soaking/site.py`), and
each against its line of the access log. Prints a summary, and writes it as CSV (--out), and a
chart of descriptors, memory and threads as SVG (--chart). Ends with 1 if an answer was
wrong, a line of the log was lost, a guest served that should not (or the other way round), or a
descriptor was not given back.

Needs Linux and Python 3.9.
"""

import argparse
import collections
import multiprocessing
import random
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import raw
from clients.rude import KINDS, Crowd
from clients.server import held, wait_for_descriptors
from operations import Server
from soaking import chart, traffic
from soaking.asking import Connection
from soaking.guests import Swaps, call
from soaking.site import FILES, Site

HERE = Path(__file__).resolve().parent
GUESTS = HERE.parent / "tests/contract/0.1.0"
# Those that its guests, which are built no more, were built for.
CASES = HERE.parents[1] / "host/tests/contract/0.1.0/default.toml"

CLIENTS = 4
EDIT_SECONDS = 0.3
SWAP_SECONDS = 3
ROTATION_SECONDS = 15
SAMPLE_SECONDS = 2

# Rude clients, how many, how long and how often.
RUDE = 100
RUDE_SECONDS = 12
RUDE_PAUSE = 25

# A connection of a client that vanished is closed after 30 seconds.
PATIENCE = 45

# A file that is too large to be kept in memory stays open for a while, with each worker.
SPARE_DESCRIPTORS = 8

# Lines wait that long for others before they are written, at most; and a machine may be busy.
LINE_SECONDS = 1

# The part of a soak after which memory should not grow any more.
WARM = 0.25


class Soaked(Server):
    """The server, which can be told to read its guest's file again."""

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)


class Log:
    """The access log: rotated, and counted by kind of request and status."""

    LINE = re.compile(rb'^127\.0\.\d+\.\d+ - - \[[^]]+\] ".*" (\d{3}) \d+ "-" "(.*)"(?: X)?$')

    def __init__(self, file):
        self.file, self.counted, self.odd, self.rotations = file, collections.Counter(), [], 0
        self.server = None

    def rotate(self):
        old = self.file.with_suffix(f".{self.rotations}")
        self.rotations += 1
        self.file.rename(old)
        self.server.process.send_signal(signal.SIGUSR1)
        began = time.monotonic()
        while not self.file.exists():
            if time.monotonic() > began + PATIENCE:
                self.odd.append("no new file was made on SIGUSR1")
                return
            time.sleep(0.01)
        time.sleep(LINE_SECONDS)
        self.count(old)

    def count(self, file):
        for line in file.read_bytes().split(b"\n")[:-1]:
            if match := self.LINE.match(line):
                agent = match[2].decode()
                if agent.startswith("soak-"):
                    self.counted[agent.removeprefix("soak-"), int(match[1])] += 1
                else:
                    self.counted["others", 0] += 1
            else:
                self.odd.append(line.decode("latin-1"))
        file.unlink()


class Chores(list):
    """What is done again and again beside the traffic, each in a thread of its own."""

    def __init__(self):
        super().__init__()
        self.over, self.faults = threading.Event(), []

    def add(self, seconds, chore):
        def go_on():
            try:
                while not self.over.wait(seconds):
                    chore()
            except Exception as fault:
                # Of the soak's own, or of a server that is gone: either spoils the result.
                self.faults.append(f"{chore.__qualname__}: {type(fault).__name__}: {fault}")

        self.append(threading.Thread(target=go_on))
        self[-1].start()

    def end(self):
        self.over.set()
        for thread in self:
            thread.join()


def warm_up(port):
    """Every file is asked for on several connections, so that both workers keep what they keep."""
    for _ in range(8):
        connection = Connection(port)
        for path in [path for path, _, _ in FILES] + ["/large.bin", "/middle.bin"]:
            connection.ask("HEAD", path, {"User-Agent": "warm-up"})
        connection.close()


def slope(samples):
    """KiB a minute by which memory grew, by least squares."""
    times = [one["at"] / 60 for one in samples]
    values = [one["rss_kib"] for one in samples]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    return sum((at - middle) * (one - mean) for at, one in zip(times, values)) / spread if spread else 0


def soak(program, folder, minutes, rate):
    (folder / "site").mkdir()
    (folder / "guest").mkdir()
    (folder / "log").mkdir()
    site = Site(folder / "site")
    # What rude clients ask for.
    (folder / "site/0.txt").write_bytes(bytes(1024))
    (folder / "site/middle.bin").write_bytes(bytes(256 << 10))
    with open(folder / "site/large.bin", "wb") as large:
        large.truncate(100 << 20)
    swaps = Swaps(folder / "guest/policy.wasm", folder / "admin", GUESTS, None)
    log = Log(folder / "log/access.log")
    server = Soaked(program, folder / "site", [
        "--guest", str(swaps.file), "--cases", str(CASES), "--code-cache", str(folder / "cache"),
        "--access-log-file", str(log.file), "--admin", f"unix:{swaps.admin}"])
    swaps.server = log.server = server
    pid = server.process.pid
    warm_up(server.port)
    swaps.one()
    time.sleep(1)
    begin = held(pid)
    began = time.monotonic()
    over = multiprocessing.Event()
    clients = []
    for seed in range(CLIENTS):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(
            target=traffic.run, args=(server.port, site, seed, rate / CLIENTS, over, theirs))
        process.start()
        theirs.close()
        clients.append((process, ours))
    samples, crowds, rude = [], [], collections.Counter()
    edits = collections.Counter()
    chores = Chores()

    def sample():
        samples.append({"at": round(time.monotonic() - began, 2)} | held(pid))

    def edit():
        edits["edits"] += site.edit_one()

    def be_rude():
        kind = random.choice([kind for kind in KINDS if not kind.floods])
        start = time.monotonic() - began
        with Crowd(kind, server.port, RUDE):
            chores.over.wait(RUDE_SECONDS)
        rude[kind.name] += 1
        crowds.append((start, time.monotonic() - began))

    sample()
    chores.add(SAMPLE_SECONDS, sample)
    chores.add(EDIT_SECONDS, edit)
    chores.add(SWAP_SECONDS, swaps.one)
    chores.add(ROTATION_SECONDS, log.rotate)
    chores.add(RUDE_PAUSE, be_rude)
    while time.monotonic() < began + minutes * 60 and server.process.poll() is None and not chores.faults:
        time.sleep(0.5)
    chores.end()
    over.set()
    reports = []
    for process, pipe in clients:
        try:
            reports.append(pipe.recv())
        except EOFError:
            chores.faults.append("a client's process ended before it was told to")
        process.join()
    sample()
    back = wait_for_descriptors(pid, begin["descriptors"] + SPARE_DESCRIPTORS, PATIENCE)
    # What is still closed after that is counted too.
    time.sleep(LINE_SECONDS)
    end = held(pid)
    metrics = call(swaps.admin, "GET", "/metrics")[1].decode()
    server.stop()
    log.count(log.file)
    asked = sum((report["counted"] for report in reports), collections.Counter())
    total = lambda name: sum(report[name] for report in reports)
    by_kind = collections.defaultdict(dict)
    for (kind, status), count in sorted(asked.items()):
        by_kind[kind][status] = count
    others = log.counted.pop(("others", 0), 0)
    differing = {f"{kind} {status}": (asked[kind, status], log.counted[kind, status])
                 for kind, status in asked.keys() | log.counted.keys()
                 if asked[kind, status] != log.counted[kind, status]}
    counter = lambda name: float(re.search(rf"^{name} (\S+)", metrics, re.M)[1])
    return {
        "minutes": round(samples[-1]["at"] / 60, 2), "requests": sum(asked.values()),
        "by_kind": by_kind, "wrong": total("wrong"),
        "told": [one for report in reports for one in report["told"]],
        "faults": chores.faults,
        "behind": total("behind"), "torn": total("torn"), "cut": total("cut"),
        "compressed": total("compressed"),
        "edits": edits["edits"], "swaps": swaps.done, "swaps_wrong": swaps.wrong,
        "log": {"lines": sum(log.counted.values()), "of_others": others, "rotations": log.rotations,
                "differing": differing, "odd": log.odd[:20],
                "lost": counter("innkeeper_access_log_lost_lines_total")},
        "panics": counter("innkeeper_panics_total"), "rude": rude,
        "begin": begin, "end": end, "descriptors_back_seconds": back,
        "samples": samples, "crowds": crowds,
    }


def summary(found):
    samples = found["samples"]
    warm = samples[int(len(samples) * WARM) :]
    found["slope_kib_per_minute"] = round(slope(warm), 1)
    mib = lambda one: f"{one['rss_kib'] / 1024:.1f}"
    log = found["log"]
    lines = [f"{found['requests']:,} requests in {found['minutes']} minutes, {found['wrong']} wrong answers"]
    for kind, statuses in found["by_kind"].items():
        told = ", ".join(f"{count:,} × {status}" for status, count in statuses.items())
        lines.append(f"  {kind:10} {told}")
    lines += [
        f"{found['compressed']:,} compressed; {found['behind']} up to a second behind; of files that were "
        f"rewritten meanwhile {found['torn']} mixed, {found['cut']} cut",
        f"{found['edits']:,} edits; {sum(found['swaps'].values())} swaps, {len(found['swaps_wrong'])} wrong "
        f"({', '.join(f'{count} {name}' for name, count in sorted(found['swaps'].items()))})",
        f"{sum(found['rude'].values())} crowds of {RUDE} rude clients "
        f"({', '.join(f'{count} {name}' for name, count in found['rude'].items())})",
        f"access log: {log['lines']:,} lines for {found['requests']:,} requests, {log['rotations']} "
        f"rotations, {log['lost']:.0f} lost, {len(log['odd'])} odd; and {log['of_others']:,} of others",
        f"descriptors: {found['begin']['descriptors']} at the begin, at most "
        f"{max(one['descriptors'] for one in samples)}, {found['end']['descriptors']} at the end",
        f"memory: {mib(found['begin'])} MiB at the begin, {mib(warm[0])} after the warm-up, "
        f"{mib(found['end'])} at the end, {found['slope_kib_per_minute']:+.1f} KiB a minute after the "
        f"warm-up, {found['end']['most_rss_kib'] / 1024:.1f} at most",
        f"threads: {found['begin']['threads']} at the begin, {found['end']['threads']} at the end; "
        f"{found['panics']:.0f} panics",
    ]
    return "\n".join(lines)


def rows(found):
    """A row for each look at the server, and one for each thing that is counted."""
    for one in found["samples"]:
        crowd = any(start <= one["at"] <= end for start, end in found["crowds"])
        yield {"what": "held", "at": one["at"], "crowd": int(crowd)} | one
    for kind, statuses in found["by_kind"].items():
        for status, count in statuses.items():
            yield {"what": "requests", "kind": kind, "status": status, "count": count}
    for what in ("swaps", "rude"):
        for kind, count in found[what].items():
            yield {"what": what, "kind": kind, "count": count}
    for what in ("wrong", "behind", "torn", "cut", "compressed", "edits", "panics"):
        yield {"what": what, "count": found[what]}
    for what in ("lines", "of_others", "rotations", "lost"):
        yield {"what": "log", "kind": what, "count": found["log"][what]}
    for what in ("begin", "end"):
        yield {"what": what} | found[what]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=400, help="requests a second")
    parser.add_argument("--out", type=Path, help="CSV")
    parser.add_argument("--chart", type=Path, help="SVG")
    arguments = parser.parse_args()
    program = str(Path(arguments.program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        found = soak(program, Path(folder), arguments.minutes, arguments.rate)
    told = summary(found)
    print(told)
    if arguments.out:
        raw.write(arguments.out, rows(found))
    if arguments.chart:
        title = f"innkeeper for {found['minutes']:.0f} minutes under mixed traffic"
        arguments.chart.write_text(chart.draw(title, found["samples"], found["crowds"]))
    log = found["log"]
    bad = found["told"] + found["faults"] + found["swaps_wrong"] + log["odd"]
    bad += [f"{kind}: {ours} answers, {theirs} lines" for kind, (ours, theirs) in log["differing"].items()]
    if found["descriptors_back_seconds"] is None:
        bad.append("descriptors were not given back")
    if found["panics"] or log["lost"]:
        bad.append(f"{found['panics']:.0f} panics, {log['lost']:.0f} lines of the log lost")
    if bad:
        sys.exit("\n".join(["", *bad]))


if __name__ == "__main__":
    main()
