#!/usr/bin/env python3
"""Three sites with certificates that come by themselves, under load, while one certificate is renewed
as the authority suggests and one is revoked and replaced: no request may fail.

    host/benches/acme.py target/release/innkeeper [--seconds N] [--out FILE]

Starts pebble, and a server of three sites and two guests that has no certificate. Once it has three,
clients ask each site by HTTP/1 and HTTP/2 over TLS for N seconds (600), and hold each response against
the site's files and each certificate against its host and the authority's root. Meanwhile the
authority says that the second certificate is to be renewed now (ARI, RFC 9773), and revokes the third.
The server is told to look by SIGHUP: without it, it does so when the authority says, after six hours.

Prints a table, and writes one row a client as CSV (--out). Ends with 1 if a request failed, a
certificate was not replaced or one too many was ordered, and with 3 if pebble cannot suggest windows.

Needs Linux, Python 3.9, openssl, pebble of 2.5 or later, and pebble-challtestsrv.
"""

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import raw
from clients.checked import Clients, connect
from clients.pebble import Pebble

C_GUEST = Path(__file__).resolve().parent.parent / "tests/contract/0.1.0/c.wasm"

# Host, guest, and what becomes of its certificate.
SITES = [
    ("one.example", None, "kept"),
    ("two.example", C_GUEST, "renewed by ARI"),
    ("three.example", C_GUEST, "revoked and replaced"),
]

# Bytes of the files of each site.
SIZES = [100, 3_000, 20_000]

# From what the authority does to the certificate that serves: an order takes a few seconds.
PATIENCE = 60

# Seconds between two signals: the authority is not asked more often than each ten seconds.
AGAIN = 12

# When the second and the third certificate are to be replaced, as parts of the time.
WHEN = (0.2, 0.5)

NO_WINDOWS = 3


def make_sites(folder, pebble):
    """The configuration, and the files of each host."""
    lines = [
        f'listen = ["127.0.0.1:{pebble.http}"]', f'listen-tls = ["127.0.0.1:{pebble.tls}"]',
        "[acme]", "accept-terms = true", f'directory = "{pebble.directory}"',
        f'ca-file = "{pebble.ca_file}"', f'state = "{folder / "state"}"',
        "[admin]", 'listen = "127.0.0.1:0"', "[log]", 'access = "off"',
    ]
    sites = {}
    for host, guest, _ in SITES:
        root = folder / host
        root.mkdir()
        lines += ["[[site]]", f'hosts = ["{host}"]', f'root = "{root}"']
        lines += ["[site.guest]", f'file = "{guest}"'] if guest else []
        sites[host] = {}
        for size in SIZES:
            content = f"{host} {size} ".encode() + random.randbytes(size)
            (root / f"{size}.bin").write_bytes(content)
            sites[host][f"/{size}.bin"] = content
    config = folder / "innkeeper.toml"
    config.write_text("\n".join(lines) + "\n")
    return config, sites


class Server:
    """The server, and what it says."""

    def __init__(self, program, config):
        self.process = subprocess.Popen(
            [program, "--config", str(config), "--sandbox-report"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.said, self.more = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            with self.more:
                self.said.append(line)
                self.more.notify_all()

    def wait_for(self, pattern, times=1):
        """Until it has said this so often."""
        is_said = lambda: len(self.lines(pattern)) >= times
        with self.more:
            if not self.more.wait_for(is_said, PATIENCE):
                sys.exit(f"it does not say {pattern!r} within {PATIENCE} s:\n{''.join(self.said)}")

    def lines(self, pattern):
        return [line for line in self.said if re.search(pattern, line)]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def serial(pebble, root, host):
    """The number of the certificate that serves."""
    with connect(pebble.tls, root, host, "http/1.1") as stream:
        return stream.getpeercert()["serialNumber"]


def replaced(server, pebble, root, host, before):
    """Seconds until another certificate serves, and its number."""
    began, told = time.monotonic(), -AGAIN
    while (now := serial(pebble, root, host)) == before:
        if time.monotonic() > began + PATIENCE:
            return None, before
        if time.monotonic() > told + AGAIN:
            server.process.send_signal(signal.SIGHUP)
            told = time.monotonic()
        time.sleep(0.1)
    return round(time.monotonic() - began, 1), now


def story(server, pebble, root, sites, state, seconds):
    """What becomes of each certificate, and what the clients have seen."""
    before = {host: serial(pebble, root, host) for host in sites}
    file = lambda host, name: state / host / name
    causes = {
        "renewed by ARI": lambda host: pebble.suggest(
            file(host, "fullchain.pem").read_text(), -7200, -3600),
        "revoked and replaced": lambda host: pebble.revoke(
            file(host, "fullchain.pem").read_text(), file(host, "privkey.pem")),
    }
    clients, began, when = Clients(pebble.tls, root, sites), time.monotonic(), iter(WHEN)
    rows = []
    for host, guest, fate in SITES:
        row = {"site": host, "guest": guest.name if guest else "built in", "certificate": fate,
               "before": before[host]}
        if fate in causes:
            time.sleep(max(0, began + next(when) * seconds - time.monotonic()))
            causes[fate](host)
            row["seconds"], row["after"] = replaced(server, pebble, root, host, before[host])
        rows.append(row)
    while time.monotonic() < began + seconds and not clients.failed():
        time.sleep(0.2)
    found = clients.stop()
    for row in rows:
        row.setdefault("after", serial(pebble, root, row["site"]))
    return rows, found


def faults(rows, found, server, orders):
    """All that is not as it should be."""
    told = [f"{one.get('host')} by {one.get('protocol')}: {failure}"
            for one in found for failure in one["failures"]]
    for row in rows:
        is_kept = row["certificate"] == "kept"
        if is_kept != (row["before"] == row["after"]):
            told.append(f"the certificate of {row['site']} is not {row['certificate']}")
        expected = [row["before"]] if is_kept else [row["before"], row["after"]]
        for one in found:
            if one.get("host") == row["site"] and one["certificates"] != expected:
                told.append(f"{row['site']} by {one['protocol']} had {one['certificates']}")
    wanted = len(rows) + sum(row["certificate"] != "kept" for row in rows)
    if orders != wanted:
        told.append(f"{orders} orders, not {wanted}")
    return told + server.lines(r"^ERROR|the sandbox refused|panick")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Pebble(folder) as pebble:
            if not pebble.has_windows():
                print("this pebble suggests no windows (ARI)")
                sys.exit(NO_WINDOWS)
            config, sites = make_sites(folder, pebble)
            root = pebble.root()
            server = Server(options.program, config)
            try:
                server.wait_for("certificate that was awaited serves", len(SITES))
                rows, found = story(server, pebble, root, sites, folder / "state", options.seconds)
            finally:
                server.stop()
            orders = (folder / "pebble.log").read_text().count("Added order")
        told = faults(rows, found, server, orders)
    print("| site | guest | certificate | before | after | seconds |\n|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['site']} | {row['guest']} | {row['certificate']} | {row['before']} "
              f"| {row['after']} | {row.get('seconds', '')} |")
    print("\n| site | protocol | requests | connections | MB | slowest, ms | failed |\n"
          "|---|---|---|---|---|---|---|")
    for one in found:
        if "host" in one:
            print(f"| {one['host']} | {one['protocol']} | {one['requests']} | {one['connections']} "
                  f"| {one['bytes'] / 1e6:.0f} | {one['slowest_ms']:.0f} | {len(one['failures'])} |")
    requests = sum(one.get("requests", 0) for one in found)
    failed = sum(len(one["failures"]) for one in found)
    print(f"\n{requests} requests in {options.seconds} s, {failed} failed; {orders} orders")
    if options.out:
        raw.write(options.out, found)
    for line in told:
        print(f"FAULT: {line.rstrip()}")
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
