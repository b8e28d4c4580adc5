#!/usr/bin/env python3
"""A file system that fails beneath a part of a site, and then is gone: what do clients see?

Mounts a file system (FUSE) inside a site. Its files can be read at first; then every
read fails (EIO); then its server is killed, as when a disk is pulled or a network file
system is lost; then it is unmounted. At each step files on it and beside it are asked for,
and what came is printed, with what the log says.

    host/benches/failing_disk.py target/release/innkeeper

Exits with 1 if a file beside the failing disk is not answered within a second.

Needs /dev/fuse, libfuse2 (Debian: fuse, libfuse2) and fusepy (PyPI).
"""

import errno
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
    sys.exit(f"failing_disk.py needs libfuse2 and fusepy ({error})")

SMALL_BYTES = 5000
LARGE_BYTES = 32 << 20
# From here on the large file cannot be read, while a read of the small one fails at once.
GOOD_BYTES = 8 << 20


def length(path):
    return SMALL_BYTES if path.startswith("/small") else LARGE_BYTES


class FailingDisk(fuse.Operations):
    """Files of zeros, small and large ones by their names. They can be read until there is a
    file named `broken`."""

    def __init__(self, switch):
        self.switch = switch

    def getattr(self, path, fh=None):
        then = 784111777
        if path == "/":
            return dict(st_mode=stat.S_IFDIR | 0o755, st_nlink=2, st_mtime=then, st_ctime=then)
        if not path.endswith(".bin"):
            raise fuse.FuseOSError(errno.ENOENT)
        return dict(st_mode=stat.S_IFREG | 0o644, st_nlink=1, st_size=length(path),
                    st_mtime=then, st_ctime=then)

    def readdir(self, path, fh):
        return [".", ".."]

    def read(self, path, size, offset, fh):
        if self.switch.exists() and (length(path) == SMALL_BYTES or offset >= GOOD_BYTES):
            raise fuse.FuseOSError(errno.EIO)
        return bytes(max(0, min(size, length(path) - offset)))


def mount(folder, switch):
    """Runs the file system in this process until it is unmounted or killed."""
    fuse.FUSE(FailingDisk(pathlib.Path(switch)), folder, foreground=True, ro=True)


def get(address, target):
    """The status of the answer, and how much of its body came, of how much."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n".encode())
        received = b""
        try:
            while piece := connection.recv(1 << 20):
                received += piece
        except ConnectionResetError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return int(head.split()[1]), len(body), int(fields[b"content-length"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        root, switch = pathlib.Path(folder) / "root", pathlib.Path(folder) / "broken"
        disk_folder = root / "disk"
        disk_folder.mkdir(parents=True)
        (root / "beside.txt").write_text("beside\n")
        command = [sys.executable, __file__, "--mount", str(disk_folder), str(switch)]
        disk = subprocess.Popen(command)
        server = None
        try:
            while not os.path.ismount(disk_folder):
                if disk.poll() is not None:
                    sys.exit("the file system cannot be mounted")
                time.sleep(0.05)
            # One worker: whoever waits, waits for it.
            server = subprocess.Popen(
                [sys.argv[1], str(root), "--listen", "127.0.0.1:0", "--workers", "1",
                 "--access-log", "off", "--listing"], stderr=subprocess.PIPE, text=True)
            lines = iter(server.stderr.readline, "")
            line = next(line for line in lines if "listening on http://" in line)
            host, port = line.strip().rpartition("http://")[2].split(":")
            address = (host, int(port))
            log = threading.Thread(
                target=lambda: [print("    log:", line.split("Z", 1)[-1].strip()) for line in lines],
                daemon=True)
            log.start()

            def step(number, name):
                nonlocal failed
                print(name)
                # Files that were read before are in the kernel's memory.
                for target in [f"/disk/small-{number}.bin", f"/disk/large-{number}.bin", "/disk/"]:
                    status, came, promised = get(address, target)
                    print(f"  {target}: {status}, {came} of {promised} bytes")
                began = time.monotonic()
                status, came, promised = get(address, "/beside.txt")
                took = time.monotonic() - began
                print(f"  /beside.txt: {status} after {took * 1e3:.1f} ms")
                failed |= (status, came) != (200, 7) or took > 1
                # The log's lines come by another way.
                time.sleep(0.2)

            step(1, "the disk works")
            switch.touch()
            step(2, "its reads fail")
            disk.kill()
            disk.wait()
            step(3, "its server is gone")
            subprocess.run(["fusermount", "-uz", str(disk_folder)], check=False)
            step(4, "it is unmounted")
            server.terminate()
            failed |= server.wait(timeout=20) != 0
        finally:
            if server:
                server.kill()
                server.wait()
            disk.kill()
            subprocess.run(["fusermount", "-uzq", str(disk_folder)], check=False)
            disk.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mount"]:
        mount(sys.argv[2], sys.argv[3])
    else:
        main()
