"""Guests that are swapped while a server serves: fit ones and unfit ones, by file and by socket."""

import hashlib
import http.client
import json
import os
import random
import socket
import time

# From the change of a file to the end of its check, on a machine with other work to do.
PATIENCE = 20


class Admin(http.client.HTTPConnection):
    """The administration's Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def call(path, method, target, body=None):
    admin = Admin(path)
    try:
        admin.request(method, target, body)
        answer = admin.getresponse()
        return answer.status, answer.read()
    finally:
        admin.close()


def with_section(module):
    """The same guest as another file: with a section that nobody reads."""
    mark = b"\x04soak" + random.randbytes(16)
    return module + b"\x00" + bytes([len(mark)]) + mark


def unfit(good, tour):
    """The kinds of files that must never serve; `tour` is sound, and fails the cases."""
    return {
        "garbage": random.randbytes(5000),
        "empty": b"",
        "cut short": good[: random.randrange(8, len(good))],
        "without exports": with_section(b"\0asm\x01\0\0\0"),
        "fails its cases": with_section(tour),
    }


class Swaps:
    """Swaps guests, and sees to it that what is fit serves and what is not does not."""

    def __init__(self, file, admin, folder, server):
        self.file, self.admin, self.server = file, admin, server
        self.fit = [(folder / name).read_bytes() for name in ("default.wasm", "c.wasm")]
        self.tour = (folder / "tour.wasm").read_bytes()
        self.in_file = self.fit[0]
        self.done, self.wrong = {}, []
        # What was rejected since the last SIGHUP: it is not tried again, nor counted.
        self.refused = set()
        self.write(self.in_file)

    def write(self, data):
        new = self.file.with_suffix(".new")
        new.write_bytes(data)
        os.replace(new, self.file)

    def status(self):
        return json.loads(call(self.admin, "GET", "/status")[1])

    def rejections(self):
        text = call(self.admin, "GET", "/metrics")[1].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith("innkeeper_guest_deployments_total")
                   and ("rejected" in line or "unreadable" in line))

    def serves(self, guest):
        """Waits until a guest serves."""
        wanted = hashlib.sha256(guest).hexdigest()
        return self.wait(lambda: self.status()["guest"]["digest"] == wanted)

    def wait(self, condition):
        began = time.monotonic()
        while time.monotonic() < began + PATIENCE:
            if condition():
                return True
            time.sleep(0.05)
        return False

    def one(self):
        """A swap of some kind."""
        kind = random.choice(["rename fit", "put fit", "rename unfit", "put unfit", "again"])
        before = self.status()["guest"]["digest"]
        good = with_section(self.fit[0]) if random.random() < 0.5 else random.choice(self.fit)
        bads = [(name, bad) for name, bad in unfit(good, self.tour).items() if bad not in self.refused]
        name, bad = random.choice(bads)
        if kind == "rename fit":
            if good == self.in_file:
                good = with_section(self.fit[0])
            self.in_file = good
            self.write(good)
            right = self.serves(good)
        elif kind == "put fit":
            status, _ = call(self.admin, "PUT", "/guest", good)
            right = status == 200 and self.serves(good)
        elif kind == "rename unfit":
            self.refused.add(bad)
            kind = f"{kind}: {name}"
            rejections = self.rejections()
            self.write(bad)
            right = self.wait(lambda: self.rejections() > rejections)
            right = right and self.status()["guest"]["digest"] == before
            # What it reads on the next SIGHUP is fit again.
            self.in_file = with_section(self.fit[1])
            self.write(self.in_file)
            right = self.serves(self.in_file) and right
        elif kind == "put unfit":
            self.refused.add(bad)
            kind = f"{kind}: {name}"
            status, _ = call(self.admin, "PUT", "/guest", bad)
            right = status == 422 and self.status()["guest"]["digest"] == before
        else:
            kind = "SIGHUP"
            self.server.hang_up()
            self.refused.clear()
            right = self.serves(self.in_file)
        self.done[kind] = self.done.get(kind, 0) + 1
        if not right:
            self.wrong.append(f"{kind}: serves {self.status()['guest']['digest'][:12]}, before {before[:12]}")
