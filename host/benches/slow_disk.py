#!/usr/bin/env python3
"""A slow or hung disk beside a fast one: who waits for it?

Mounts a file system (FUSE) inside a site, one of whose operations takes 200 ms, or is never
answered. Clients ask for files and listings on it. Meanwhile others ask for a file that is in
memory, for files that are not, for names that were never asked for, and for a listing, none of
them on that file system; their latencies are printed, and whether the server calls itself well.

    host/benches/slow_disk.py target/release/innkeeper [another innkeeper] [--out FILE]

Prints a table, and writes it as CSV (--out). Speaks to /dev/fuse by itself: needs Linux and root, and no library.
"""

import argparse
import concurrent.futures
import ctypes
import itertools
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

import raw

DELAY = 0.2
SECONDS = 1.5
# How long somebody who asks for something elsewhere waits. Nothing takes that long.
PATIENCE = 3
FILE_BYTES = 8 << 20
TEXT_BYTES = 2000
NAMES = [f"{number}.bin" for number in range(40)] + [f"{number}.txt" for number in range(40)]

OPERATIONS = {
    "LOOKUP": 1, "GETATTR": 3, "OPEN": 14, "READ": 15, "STATFS": 17, "RELEASE": 18, "FLUSH": 25,
    "INIT": 26, "OPENDIR": 27, "READDIR": 28, "RELEASEDIR": 29, "ACCESS": 34,
}
NAMED = {number: name for name, number in OPERATIONS.items()}
WITHOUT_ANSWER = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
HOUR = 3600


class Disk:
    """Files of zeros in one directory, over /dev/fuse (fuse(4), <linux/fuse.h>)."""

    def __init__(self, folder, slow, seconds):
        """Each of the operations named in `slow` takes so long; None: it is never answered."""
        self.slow, self.seconds = slow, seconds
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        self.folder = str(folder)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if libc.mount(b"slow", self.folder.encode(), b"fuse", 6, options.encode()) != 0:
            error = ctypes.get_errno()
            sys.exit(f"cannot mount a FUSE: {os.strerror(error)}")
        self.number = os.minor(os.lstat(pathlib.Path(folder).parent).st_dev)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError:
                return  # It was unmounted.
            _, operation, unique, node = struct.unpack_from("<IIQQ", request)
            if operation in WITHOUT_ANSWER:
                continue
            name = NAMED.get(operation, str(operation))
            is_slow = name in self.slow or ("ALL" in self.slow and name != "INIT")
            if not is_slow:
                self.answer(operation, unique, node, request[40:])
            elif self.seconds is not None:
                late = threading.Timer(self.seconds, self.answer,
                                       (operation, unique, node, request[40:]))
                late.daemon = True
                late.start()

    def attributes(self, node):
        then = 784111777
        if node == 1:
            mode, size = stat.S_IFDIR | 0o755, 4096
        else:
            name = NAMES[node - 2]
            mode, size = stat.S_IFREG | 0o644, FILE_BYTES if name.endswith("n") else TEXT_BYTES
        return struct.pack("<6Q10I", node, size, 0, then, then, then, 0, 0, 0, mode, 1, 0, 0, 0,
                           4096, 0)

    def answer(self, operation, unique, node, body):
        # Names are good for an hour; attributes are not if that is what is slow.
        good = 0 if "GETATTR" in self.slow else HOUR
        name, error, out = NAMED.get(operation), 0, b""
        if name == "INIT":
            out = struct.pack("<IIIIHHIIHHI28x", 7, 31, 128 << 10, 0, 64, 48, 128 << 10, 1, 32, 0, 0)
        elif name == "LOOKUP":
            asked = body.rstrip(b"\0").decode()
            if asked in NAMES:
                node = NAMES.index(asked) + 2
                out = struct.pack("<QQQQII", node, 0, HOUR, good, 0, 0) + self.attributes(node)
            else:
                error = 2
        elif name == "GETATTR":
            out = struct.pack("<QII", good, 0, 0) + self.attributes(node)
        elif name in ("OPEN", "OPENDIR"):
            out = struct.pack("<QII", 0, 0, 0)
        elif name == "READ":
            _, offset, size = struct.unpack_from("<QQI", body)
            length = FILE_BYTES if NAMES[node - 2].endswith("n") else TEXT_BYTES
            out = bytes(max(0, min(size, length - offset)))
        elif name == "READDIR":
            _, offset, size = struct.unpack_from("<QQI", body)
            for number, entry in enumerate(NAMES[:12]):
                if number >= offset:
                    text = entry.encode()
                    out += struct.pack("<QQII", number + 2, number + 1, len(text), 8) + text
                    out += bytes(-len(out) % 8)
        elif name == "STATFS":
            out = bytes(80)
        elif name not in ("FLUSH", "RELEASE", "RELEASEDIR", "ACCESS"):
            error = 38
        try:
            os.write(self.device, struct.pack("<IiQ", 16 + len(out), -error, unique) + out)
        except OSError:
            pass  # Who asked is gone, or it was unmounted.

    def close(self):
        """Ends the connection: whoever waits for an answer hears of it."""
        for connection in pathlib.Path("/sys/fs/fuse/connections").glob("*"):
            if connection.name == str(self.connection()):
                (connection / "abort").write_text("1")
        subprocess.run(["umount", "-l", self.folder], check=False)
        os.close(self.device)

    def connection(self):
        with open("/proc/self/mountinfo") as mounts:
            for line in mounts:
                fields = line.split()
                if fields[4] == self.folder:
                    return int(fields[2].split(":")[1])
        return None


def get(address, target, patience):
    """Status and seconds of one answer on a connection of its own; 0 if there is none."""
    began = time.monotonic()
    try:
        with socket.create_connection(address, patience) as connection:
            connection.settimeout(patience)
            request = f"GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            received = 0
            head = b""
            while piece := connection.recv(1 << 20):
                received += len(piece)
                if len(head) < 20:
                    head += piece[:20]
            status = int(head[9:12]) if head else 0
    except OSError:
        status = 0
    return status, time.monotonic() - began


class Elsewhere:
    """Asks for what is not on the slow file system."""

    def __init__(self, root):
        self.cold = [root / "cold" / f"{number}.bin" for number in range(400)]
        (root / "cold").mkdir()
        for file in self.cold:
            file.write_bytes(os.urandom(64 << 10))
        (root / "hot.txt").write_text("hot\n")
        (root / "folder").mkdir()
        for number in range(20):
            (root / "folder" / f"{number}.txt").write_text("x")
        os.sync()
        self.number = itertools.count()

    def drop(self):
        for file in self.cold:
            handle = os.open(file, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)

    def measure(self, address):
        """p50 and p99 in ms, and how many of how many got no answer that they should."""
        self.drop()
        kinds = {
            "hot": (200, lambda: "/hot.txt"),
            "cold": (200, lambda: f"/cold/{next(self.number) % len(self.cold)}.bin"),
            "unknown": (404, lambda: f"/unknown/{next(self.number)}"),
            "listing": (200, lambda: "/folder/"),
        }
        def ask(kind):
            expected, target = kinds[kind]
            times, lost = [], 0
            end = time.monotonic() + SECONDS
            while time.monotonic() < end and len(times) < 400:
                status, seconds = get(address, target(), PATIENCE)
                lost += status != expected
                times.append(seconds * 1e3)
                time.sleep(0.002)
            times.sort()
            share = lambda part: round(times[min(len(times) - 1, int(len(times) * part))], 2)
            return {"p50_ms": share(.5), "p99_ms": share(.99), "of": len(times), "lost": lost}
        with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
            return dict(zip(kinds, pool.map(ask, kinds)))


def health(address):
    return get(address, "/healthz", PATIENCE)[0]


def start(binary, root):
    server = subprocess.Popen(
        [binary, str(root), "--listen", "127.0.0.1:0", "--workers", "2", "--listing",
         "--admin", "127.0.0.1:0", "--access-log", "off"],
        stderr=subprocess.PIPE, text=True, bufsize=1)
    found = {}
    while len(found) < 2:
        line = server.stderr.readline()
        if not line:
            sys.exit("the server does not start")
        if "http://" in line:
            host, port = line.strip().rpartition("http://")[2].split(":")
            found["admin" if "administration" in line else "site"] = (host, int(port.strip("/")))
    threading.Thread(target=lambda: [None for _ in server.stderr], daemon=True).start()
    return server, found["site"], found["admin"]


def run(binary, slow, seconds):
    """One case: the latencies elsewhere while clients ask for what is slow."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "root"
        root.mkdir()
        elsewhere = Elsewhere(root)
        (root / "slow").mkdir()
        disk = Disk(root / "slow", slow, seconds)
        server, site, admin = start(binary, root)
        try:
            # Once in memory, as far as it can be.
            get(site, "/hot.txt", PATIENCE)
            done = threading.Event()
            number = itertools.count()
            answers = {}

            def ask_slowly(kind):
                while not done.is_set():
                    target = {"file": f"/slow/{next(number) % 40}.txt",
                              "large": f"/slow/{next(number) % 40}.bin",
                              "listing": "/slow/"}[kind]
                    status, _ = get(site, target, 15)
                    answers[status] = answers.get(status, 0) + 1
                    done.wait(0.02)

            kinds = ["file"] * 12 + ["large"] * 8 + ["listing"] * 4
            clients = [threading.Thread(target=ask_slowly, args=(kind,), daemon=True)
                       for kind in kinds]
            for client in clients:
                client.start()
            time.sleep(1)
            during = elsewhere.measure(site)
            if seconds is None:
                # Past the limit of each wait.
                time.sleep(10)
                later = elsewhere.measure(site)
                return {"during": during, "later": later, "health": health(admin), "slow": answers}
            return {"during": during, "health": health(admin), "slow": answers}
        finally:
            done.set()
            disk.close()
            server.send_signal(signal.SIGKILL)
            server.wait()


def shown(told):
    lost = f", {told['lost']} of {told['of']} lost" if told["lost"] else ""
    return f"{told['p50_ms']}, {told['p99_ms']}{lost}"


def rows(results):
    """A row for each kind of file, and when it was measured."""
    for found in results:
        for when in ("during", "later"):
            for kind, latencies in found.get(when, {}).items():
                about = {name: found[name] for name in ("binary", "operation", "takes", "health")}
                yield about | {"when": when, "kind": kind} | latencies


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    binaries = arguments.binaries
    cases = [((), 0.0)]
    for operation in ("OPEN", "FLUSH", "GETATTR", "READDIR", "READ"):
        cases += [((operation,), DELAY), ((operation,), None)]
    cases.append((("ALL",), None))
    results = []
    print("p50, p99 in ms of what is elsewhere\n")
    print("| operation | | hot | cold | unknown | listing | health |\n|---|---|---|---|---|---|---|")
    for slow, seconds in cases:
        for binary in binaries:
            told = run(binary, slow, seconds)
            name = " ".join(slow) or "none"
            takes = "never" if seconds is None else f"{seconds:g} s"
            results.append({"binary": binary, "operation": name, "takes": takes, **told})
            for when in ("during", "later"):
                if when in told:
                    row = " | ".join(shown(told[when][kind]) for kind in told[when])
                    print(f"| {name}, {takes}{', 12 s later' if when == 'later' else ''} "
                          f"| {pathlib.Path(binary).parts[-2]} | {row} | {told['health']} |",
                          flush=True)
    if arguments.out:
        raw.write(arguments.out, rows(results))


if __name__ == "__main__":
    main()
