#!/usr/bin/env python3
"""What many sites of one process cost: start, memory, requests, and one more site.

    host/benches/sites.py target/release/innkeeper [--sites N] [--runs N] [--seconds S]
        [--plain] [--at-most START_MS MIB PERCENT ADD_MS] [--out FILE]

Writes a configuration of one site, and one of N (1,000) sites of three distinct guests: the one that
is built in, and two with rules, which stand on lines of their own for each site. Each site has a
certificate, a key and an access log, in files of their own, unless `--plain` is given. Measures

- the first start with N sites, which compiles, and the next one, from `exec` to the first response;
- resident memory after a request to each site, beyond that of one site;
- requests a second of one file with one site and with N, in turns, by wrk on the same machine;
- how long a site that is added to the configuration takes from SIGHUP to its first response.

Needs Linux, Python 3.9, wrk and openssl. Prints the medians; writes one row a run as CSV. `--at-most` fails
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

# Rules of the last third of the sites: two tables, so that there are three guests.
RULES = ["/old /new 301", "/a/* /b/:splat 302"]


OPENSSL = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=sites "
    "-addext subjectAltName=DNS:*.example"
)


class Sites:
    """Configurations, and the folders of their sites."""

    def __init__(self, folder, is_plain):
        self.folder, self.is_plain = folder, is_plain
        if not is_plain:
            pair = ["-out", folder / "certificate.pem", "-keyout", folder / "key.pem"]
            subprocess.run([*OPENSSL.split(), *pair], check=True, stderr=subprocess.DEVNULL)

    def site(self, number):
        """The lines of a site."""
        home = self.folder / f"site-{number}"
        (home / "root").mkdir(parents=True, exist_ok=True)
        (home / "root/index.html").write_text(f"<!doctype html><title>{number}</title>\n")
        lines = ["[[site]]", f'root = "{home}/root"', f'hosts = ["s{number}.example"]']
        if number % 3 == 2:
            lines += ["[site.rules]", f'redirect = ["{RULES[number % 2]}"]']
        if not self.is_plain:
            for name in ("certificate.pem", "key.pem"):
                (home / name).write_bytes((self.folder / name).read_bytes())
            lines += ["[site.tls]", f'certificate = "{home}/certificate.pem"']
            lines += [f'key = "{home}/key.pem"', "[site.log]", f'access-file = "{home}/log"']
        return [*lines, ""]

    def configure(self, count):
        """The file with this many sites."""
        # One that is added may have its folder anywhere beneath.
        lines = ["[sandbox]", f'allow-read = ["{self.folder}"]', ""]
        for number in range(count):
            lines += self.site(number)
        path = self.folder / f"sites-{count}.toml"
        path.write_text("\n".join(lines))
        return path


class Server:
    """A server of these sites."""

    def __init__(self, program, config, cache):
        command = [program, "--config", config, "--listen", "127.0.0.1:0", "--code-cache", cache]
        if "certificate" in config.read_text():
            command += ["--listen-tls", "127.0.0.1:0"]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        told = ""
        for line in self.process.stderr:
            told += line
            if match := re.search(r"listening on http://127.0.0.1:(\d+)", line):
                self.port = int(match[1])
                break
        else:
            sys.exit(f"{program} does not start with {config}: {told[-2000:]}")
        self.log = config.with_suffix(".log").open("w")
        # What it logs later must not fill the pipe.
        subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)

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


def add_site(server, config, sites, number):
    """Milliseconds from SIGHUP to the first response of a site that was added."""
    # What the sandbox lets it read it may not write: it has no log of its own.
    is_log = lambda line: line.startswith(("[site.log]", "access-file"))
    lines = [line for line in sites.site(number) if not is_log(line)]
    with config.open("a") as file:
        file.write("\n".join(["", *lines]))
    began = time.monotonic()
    server.process.send_signal(signal.SIGHUP)
    while server.get(number) != (200, True):
        if time.monotonic() - began > 30:
            told = Path(server.log.name).read_text()[-2000:]
            sys.exit(f"the site that was added is not served within 30 s: {told}")
        # Without a pause it would take a core from the server.
        time.sleep(0.002)
    return (time.monotonic() - began) * 1000


def measure(program, sites, count, seconds):
    one, many = sites.configure(1), sites.configure(count)
    cache = sites.folder / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    # Compiles.
    with Server(program, many, cache) as server:
        server.expect(count - 1)
        first = (time.monotonic() - server.began) * 1000
    with Server(program, one, cache) as few, Server(program, many, cache) as server:
        server.expect(0)
        start = (time.monotonic() - server.began) * 1000
        few.expect(0)
        for number in range(count):
            server.expect(number)
        beyond = server.resident_mib() - few.resident_mib()
        threads = len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))
        rates = {few: [], server: []}
        for _ in range(3):
            for each, of in rates.items():
                of.append(each.requests_per_second(seconds))
        with_one, with_many = (statistics.median(of) for of in rates.values())
        # The first one after much else may be the slowest: as it is for an operator.
        added = add_site(server, many, sites, count)
        return {
            "sites": count,
            "first_start_ms": first,
            "start_ms": start,
            "threads": threads,
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
    parser.add_argument("--plain", action="store_true", help="neither certificates nor logs")
    limits = ("START_MS", "MIB", "PERCENT", "ADD_MS")
    parser.add_argument("--at-most", type=float, nargs=4, metavar=limits)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    samples = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(options.program).resolve()
            sites = Sites(Path(folder), options.plain)
            samples.append(measure(program, sites, options.sites, options.seconds))
    if options.out:
        raw.write(options.out, samples)
    is_more = False
    names = ("start_ms", "beyond_mib", "slower_percent", "add_ms", "first_start_ms", "threads")
    at_most = [*(options.at_most or [None] * len(limits)), None, None]
    for name, most in zip(names, at_most):
        median = statistics.median(sample[name] for sample in samples)
        note = ""
        if most is not None and median > most:
            is_more, note = True, f", above {most:g}"
        print(f"{options.sites} sites: {name} {median:.1f}{note}")
    return is_more


if __name__ == "__main__":
    sys.exit(main())
