#!/usr/bin/env python3
"""What many sites of one process cost: start, memory, requests, and one more site.

    host/benches/sites.py target/release/innkeeper [--sites N] [--runs N] [--seconds S]
        [--at-most START_MS MIB PERCENT ADD_MS] [--out FILE]

Writes a configuration of one site, and one of N (1,000) sites of three distinct guests: the one that
is built in, and two with rules. Measures

- the start with N sites that were compiled before, from `exec` to the first response;
- resident memory after a request to each site, beyond that of one site;
- requests a second of one file with one site and with N, in turns, by wrk on the same machine;
- how long a site that is added to the configuration takes from SIGHUP to its first response.

Needs Linux, Python 3.9 and wrk. Prints the medians; writes one row a run as CSV. `--at-most` fails
above these figures: milliseconds of the start, MiB, percent by which N sites are slower, milliseconds.
"""

import argparse
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import raw

# Rules of the last third of the sites: two tables, so that there are three guests. In files of their
# own each would have its path in its table, and be another guest.
RULES = ["/old /new 301", "/a/* /b/:splat 302"]


def configure(folder, count):
    """The configuration of this many sites, and their folders."""
    lines = []
    for number in range(count):
        root = folder / f"root-{number}"
        root.mkdir(exist_ok=True)
        (root / "index.html").write_text(f"<!doctype html><title>{number}</title>\n")
        lines += ["[[site]]", f'root = "{root}"', f'hosts = ["s{number}.example"]']
        if number % 3 == 2:
            lines += ["[site.rules]", f'redirect = ["{RULES[number % 2]}"]']
        lines += [""]
    path = folder / f"sites-{count}.toml"
    path.write_text("\n".join(lines))
    return path


class Server:
    """A server of these sites."""

    def __init__(self, program, config, cache):
        command = [program, "--config", config, "--listen", "127.0.0.1:0", "--code-cache", cache]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if match := re.search(r"listening on http://127.0.0.1:(\d+)", line):
                self.port = int(match[1])
                break
        else:
            sys.exit(f"{program} does not start with {config}")
        # What it logs later must not fill the pipe.
        subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, number):
        """The status of a request to a site, and whether the page is its own."""
        request = f"GET / HTTP/1.1\r\nHost: s{number}.example\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(request.encode())
            response = b"".join(iter(lambda: client.recv(1 << 16), b""))
        return int(response[9:12]), f"<title>{number}<".encode() in response

    def expect(self, number):
        found = self.get(number)
        if found != (200, True):
            sys.exit(f"site {number}: {found}")

    def resident_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def requests_per_second(self, seconds):
        url = f"http://127.0.0.1:{self.port}/"
        wrk = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-H", "Host: s0.example", url]
        output = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in output:
            sys.exit(output)
        return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def add_site(server, config, folder, number):
    """Milliseconds from SIGHUP to the first response of a site that was added."""
    root = folder / f"added-{number}"
    root.mkdir()
    (root / "index.html").write_text(f"<!doctype html><title>{number}</title>\n")
    with config.open("a") as file:
        file.write(f'[[site]]\nroot = "{root}"\nhosts = ["s{number}.example"]\n\n')
    began = time.monotonic()
    server.process.send_signal(signal.SIGHUP)
    while server.get(number) != (200, True):
        if time.monotonic() - began > 30:
            sys.exit("the site that was added is not served within 30 s")
    return (time.monotonic() - began) * 1000


def measure(program, folder, count, seconds):
    one, many = configure(folder, 1), configure(folder, count)
    cache = folder / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    # Compiles.
    with Server(program, many, cache) as server:
        server.expect(count - 1)
    with Server(program, one, cache) as few, Server(program, many, cache) as server:
        server.expect(0)
        start = (time.monotonic() - server.began) * 1000
        few.expect(0)
        for number in range(count):
            server.expect(number)
        beyond = server.resident_mib() - few.resident_mib()
        rates = {few: [], server: []}
        for _ in range(3):
            for each, of in rates.items():
                of.append(each.requests_per_second(seconds))
        with_one, with_many = (statistics.median(of) for of in rates.values())
        added = add_site(server, many, folder, count)
        return {
            "sites": count,
            "start_ms": start,
            "beyond_mib": beyond,
            "requests_per_second": {"one": with_one, "many": with_many},
            "slower_percent": (1 - with_many / with_one) * 100,
            "add_ms": added,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--sites", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    limits = ("START_MS", "MIB", "PERCENT", "ADD_MS")
    parser.add_argument("--at-most", type=float, nargs=4, metavar=limits)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    samples = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(options.program).resolve()
            samples.append(measure(program, Path(folder), options.sites, options.seconds))
    if options.out:
        raw.write(options.out, samples)
    is_more = False
    names = ("start_ms", "beyond_mib", "slower_percent", "add_ms")
    for name, most in zip(names, options.at_most or (None,) * len(names)):
        median = statistics.median(sample[name] for sample in samples)
        note = ""
        if most is not None and median > most:
            is_more, note = True, f", above {most:g}"
        print(f"{options.sites} sites: {name} {median:.1f}{note}")
    return is_more


if __name__ == "__main__":
    sys.exit(main())
