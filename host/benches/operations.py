#!/usr/bin/env python3
"""What operating a server costs: the log and the metrics, a scrape under load, a log
that nobody reads, restarts under load.

    host/benches/operations.py target/release/innkeeper [--rounds N] [--seconds N] [--out FILE]

Needs Linux, Python 3.9 and wrk. Prints the figures and writes them, with every single
measurement, as CSV (--out).
"""

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import raw

CONNECTIONS = 64
START_SECONDS = 20
RESTARTS = 8
SCRAPES = 20
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """innkeeper, until it is stopped."""

    def __init__(self, program, site, arguments, out=subprocess.DEVNULL, listener=None):
        command = [program, str(site), *arguments]
        inherited = []
        if listener is None:
            command += ["--listen", "127.0.0.1:0"]
        else:
            # As systemd does: the socket is descriptor 3, meant for this process.
            inherited = [listener.fileno()]
            script = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@" 3<&{listener.fileno()}'
            command = ["sh", "-c", script, *command]
        self.process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.PIPE, text=True, pass_fds=inherited
        )
        self.port = self.admin = None
        wanted = "administration at" if "--admin" in arguments else "listening on"
        said = []
        for line in self.process.stderr:
            said.append(line)
            if match := re.search(r"listening on http://127.0.0.1:(\d+)", line):
                self.port = int(match[1])
            if match := re.search(r"administration at (http://\S+)", line):
                self.admin = match[1]
            if wanted in line:
                break
        else:
            sys.exit(f"{program} does not start: {''.join(said)}")
        # What else it says is read, so that it never waits for that.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def load(port, seconds, threads=1):
    """Runs wrk, and gives its number of requests, their errors and their latencies."""
    told = subprocess.run(
        ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
         f"http://127.0.0.1:{port}/1k.txt"],
        capture_output=True, text=True, check=True,
    ).stdout
    errors = re.search(r"Socket errors: (.*)", told)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    return {
        "requests": int(re.search(r"(\d+) requests in", told)[1]),
        "p99": re.search(r"99%\s+(\S+)", told)[1],
        "errors": errors[1] if errors else None,
        "wrong": int(wrong[1]) if wrong else 0,
    }


def costs(program, site, folder, rounds, seconds):
    """CPU time for a request, with and without what tells about it, in turns."""
    log = folder / "access.log"
    kinds = {
        "nothing": ["--access-log", "off"],
        "metrics": ["--access-log", "off", "--admin", "127.0.0.1:0"],
        "combined log": ["--access-log-file", str(log)],
        "JSON log and metrics":
            ["--access-log", "json", "--access-log-file", str(log), "--admin", "127.0.0.1:0"],
    }
    found = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, arguments in kinds.items():
            server = Server(program, site, arguments)
            load(server.port, 1)
            before = server.cpu_seconds()
            run = load(server.port, seconds)
            micros = (server.cpu_seconds() - before) / run["requests"] * 1e6
            found[name].append(round(micros, 2))
            server.stop()
            log.unlink(missing_ok=True)
    return found


def scrapes(program, site, seconds):
    """How long a scrape takes under load."""
    server = Server(program, site, ["--access-log", "off", "--admin", "127.0.0.1:0"])
    found = {}
    loading = threading.Thread(target=lambda: found.update(load(server.port, seconds)))
    loading.start()
    times = []
    while loading.is_alive() and len(times) < SCRAPES:
        time.sleep(seconds / SCRAPES / 2)
        began = time.monotonic()
        urllib.request.urlopen(server.admin + "metrics").read()
        times.append(round((time.monotonic() - began) * 1e3, 2))
    loading.join()
    server.stop()
    return {"milliseconds": times, "load": found}


def stalled_log(program, site, seconds):
    """A log whose reader does not read."""
    reader, writer = os.pipe()
    server = Server(program, site, [], out=writer)
    os.close(writer)
    idle = server.memory_kib()
    run = load(server.port, seconds)
    peak = server.memory_kib()
    began = time.monotonic()
    server.stop()
    os.close(reader)
    return {"load": run, "idle_kib": idle, "peak_kib": peak,
            "stopped_in": round(time.monotonic() - began, 2)}


def restarts(program, site, seconds):
    """Restarts under load, with a socket that stays."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        arguments = ["--access-log", "off"]
        server = Server(program, site, arguments, listener=listener)
        found = {}
        loading = threading.Thread(
            target=lambda: found.update(load(listener.getsockname()[1], seconds, threads=2))
        )
        loading.start()
        for _ in range(RESTARTS):
            time.sleep(seconds / (RESTARTS + 2))
            server.stop()
            server = Server(program, site, arguments, listener=listener)
        loading.join()
        server.stop()
    return {"restarts": RESTARTS, "load": found}


def rows(found):
    """A row for each measurement."""
    for setting, micros in found["cpu_micros"].items():
        for round, value in enumerate(micros, 1):
            yield {"figure": "cpu", "setting": setting, "round": round, "cpu_us_per_request": value}
    for round, value in enumerate(found["scrapes"]["milliseconds"], 1):
        yield {"figure": "scrape", "round": round, "ms": value}
    yield {"figure": "stalled log", **found["stalled_log"]}
    yield {"figure": "restarts", **found["restarts"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--stall", type=int, default=60, help="seconds of a log that nobody reads")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("operations.py needs wrk; for example `apt-get install wrk`")
    program = str(Path(arguments.program).resolve())
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        site.mkdir()
        (site / "1k.txt").write_bytes(b"x" * 1024)
        found["cpu_micros"] = costs(
            program, site, Path(folder), arguments.rounds, arguments.seconds
        )
        base = statistics.median(found["cpu_micros"]["nothing"])
        for name, micros in found["cpu_micros"].items():
            median = statistics.median(micros)
            print(f"{name:22} {median:6.2f} µs CPU a request, x {median / base:.2f}")
        found["scrapes"] = scrapes(program, site, 5)
        times = found["scrapes"]["milliseconds"]
        print(f"{len(times)} scrapes under load: median {statistics.median(times)} ms, "
              f"slowest {max(times)} ms")
        found["stalled_log"] = stalled = stalled_log(program, site, arguments.stall)
        print(f"a log that nobody reads, {arguments.stall} s: "
              f"{stalled['load']['requests']} requests, errors {stalled['load']['errors']}, "
              f"peak memory {stalled['peak_kib'] / 1024:.1f} MiB (idle "
              f"{stalled['idle_kib'] / 1024:.1f}), stopped in {stalled['stopped_in']} s")
        found["restarts"] = run = restarts(program, site, 15)
        print(f"{run['restarts']} restarts under load: {run['load']['requests']} requests, "
              f"errors {run['load']['errors']}, wrong {run['load']['wrong']}")
    if arguments.out:
        raw.write(arguments.out, rows(found))


if __name__ == "__main__":
    main()
