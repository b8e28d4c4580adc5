#!/usr/bin/env python3
"""A slow disk beside a fast one: does a worker that serves from memory wait?

Mounts a file system (FUSE) whose every read takes a while, inside a site, and asks
for large files on it over several connections. Meanwhile one connection asks for
a small file outside of it, and its latency is printed, without and with the slow
readers.

    host/benches/slow_disk.py target/release/innkeeper

Needs /dev/fuse, libfuse2 (Debian: fuse, libfuse2) and fusepy (PyPI).
"""

import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

try:
    import fuse
except (ImportError, OSError) as error:
    sys.exit(f"slow_disk.py needs libfuse2 and fusepy ({error})")

READ_SECONDS = 0.2
FILES = 12
FILE_BYTES = 8 << 20
SECONDS = 5


class SlowDisk(fuse.Operations):
    """Files of zeros; each read takes READ_SECONDS."""

    def getattr(self, path, fh=None):
        now = 784111777
        if path == "/":
            return dict(st_mode=stat.S_IFDIR | 0o755, st_nlink=2, st_mtime=now, st_ctime=now)
        return dict(st_mode=stat.S_IFREG | 0o644, st_nlink=1, st_size=FILE_BYTES,
                    st_mtime=now, st_ctime=now)

    def readdir(self, path, fh):
        return [".", "..", *(f"{number}.bin" for number in range(FILES))]

    def read(self, path, size, offset, fh):
        time.sleep(READ_SECONDS)
        return bytes(max(0, min(size, FILE_BYTES - offset)))


def mount(folder):
    """Runs the file system in this process until it is unmounted."""
    fuse.FUSE(SlowDisk(), folder, foreground=True, nothreads=False, ro=True)


def get(connection, target):
    """The length of the answer's body; -1 at the end of the connection."""
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return -1
        received += piece
    head, body = received.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(f"{target}: {head.splitlines()[0].decode()}")
    length = int(next(line for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length")).split(b":")[1])
    got = len(body)
    while got < length:
        piece = connection.recv(1 << 20)
        if not piece:
            return -1
        got += len(piece)
    return length


def latencies(address):
    """Milliseconds of the answers to one connection that asks for a small file."""
    times = []
    with socket.create_connection(address) as connection:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            began = time.monotonic()
            get(connection, "/small.txt")
            times.append((time.monotonic() - began) * 1e3)
    return sorted(times)


def show(name, times):
    share = lambda part: times[min(len(times) - 1, int(len(times) * part))]
    print(f"{name:<24} {len(times):>7} answers, p50 {share(.5):6.2f} ms, p99 {share(.99):6.2f} ms, "
          f"at most {times[-1]:7.2f} ms")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "small.txt").write_text("small\n")
        (root / "slow").mkdir()
        disk = subprocess.Popen([sys.executable, __file__, "--mount", str(root / "slow")])
        server = None
        try:
            while not os.path.ismount(root / "slow"):
                if disk.poll() is not None:
                    sys.exit("the slow file system cannot be mounted")
                time.sleep(0.05)
            # One worker: whoever waits, waits for it.
            server = subprocess.Popen(
                [sys.argv[1], str(root), "--listen", "127.0.0.1:0", "--workers", "1",
                 "--access-log", "off"], stderr=subprocess.PIPE, text=True)
            host, port = server.stderr.readline().strip().rpartition("http://")[2].split(":")
            address = (host, int(port))
            show("alone", latencies(address))
            done = []

            def read_slowly(number):
                with socket.create_connection(address) as connection:
                    done.append(get(connection, f"/slow/{number}.bin"))

            readers = [threading.Thread(target=read_slowly, args=(number,), daemon=True)
                       for number in range(FILES)]
            for reader in readers:
                reader.start()
            show(f"beside {FILES} slow readers", latencies(address))
            print(f"{len(done)} of {FILES} slow files were sent meanwhile, the others go on")
        finally:
            if server:
                server.kill()
                server.wait()
            subprocess.run(["fusermount", "-uz", str(root / "slow")], check=False)
            disk.terminate()
            disk.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mount"]:
        mount(sys.argv[2])
    else:
        main()
