"""Clients that ask for all sorts of things and hold each answer against what the site held."""

import collections
import random
import time

from .asking import Connection, Cut
from .site import FILES, RECORD, REWRITTEN, content

# A worker that is busy may be that far behind (the README's promise), and a timer is not exact.
BEHIND = 1.05

CONNECTIONS = 4
REQUESTS_OF_A_CONNECTION = 300

# Wrong answers that are told in full.
TOLD = 20

SHARES = {
    "whole": 6, "compressed": 4, "range": 4, "suffix": 2, "if-range": 2, "condition": 5, "date": 2,
    "head": 3, "unique": 4, "missing": 2, "redirect": 2,
}


class Wrong(Exception):
    """An answer that nobody should get."""


class Client:
    """Asks, checks and counts, until it is told to leave."""

    def __init__(self, port, site, seed):
        self.port, self.site = port, site
        self.random = random.Random(seed)
        self.connections = [None] * CONNECTIONS
        self.left = [0] * CONNECTIONS
        # Kind and status, which the log must have as well.
        self.counted = collections.Counter()
        self.wrong = []
        self.behind = self.torn = self.cut = self.compressed = 0
        # What it had of a file: number and coding → entity tag, date, version.
        self.kept = {}

    def go_on(self, rate, over):
        due = time.monotonic()
        while not over.is_set():
            due = max(due + self.random.expovariate(rate), time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))
            kind = self.random.choices(list(SHARES), SHARES.values())[0]
            try:
                self.one(kind)
            except (Wrong, Cut, OSError, ValueError) as error:
                self.wrong.append(f"{kind}: {type(error).__name__}: {error}")
                self.connections = [None] * CONNECTIONS
        for connection in filter(None, self.connections):
            connection.close()

    def ask(self, kind, method, target, **fields):
        at = self.random.randrange(CONNECTIONS)
        if self.connections[at] is None:
            self.connections[at] = Connection(self.port)
            self.left[at] = self.random.randrange(REQUESTS_OF_A_CONNECTION)
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        fields["User-Agent"] = f"soak-{kind}"
        answer = self.connections[at].ask(method, target, fields)
        self.counted[kind, answer.status] += 1
        self.left[at] -= 1
        ends = answer.fields.get("connection") == "close" or not answer.is_whole
        if self.left[at] < 0 or ends:
            self.connections[at].close()
            self.connections[at] = None
        return answer

    def one(self, kind):
        if kind == "missing":
            answer = self.ask(kind, "GET", f"/missing-{self.random.randrange(1 << 40)}")
            return self.expect(answer.status == 404 and answer.is_whole, answer, "404")
        if kind == "redirect":
            name = self.random.choice(["fixed", "renamed", "rewritten"])
            answer = self.ask(kind, "GET", f"/{name}")
            right = answer.status == 301 and answer.fields.get("location") == f"{name}/"
            return self.expect(right and answer.is_whole, answer, f"301 to {name}/")
        number = self.random.randrange(len(FILES))
        method, fields, asked_for = "GET", {}, None
        target = FILES[number][0].removesuffix("index.html")
        coding = kind == "compressed" or kind == "condition" and self.random.random() < 0.3
        kept = self.kept.get((number, coding))
        if coding:
            fields["Accept_Encoding"] = "gzip"
        if kind == "head":
            method = "HEAD"
        elif kind == "unique":
            target += f"?{self.random.randrange(1 << 40)}"
        elif kind == "condition" and kept and kept["tag"]:
            fields["If_None_Match"] = kept["tag"]
        elif kind == "date" and kept and kept["date"]:
            fields["If_Modified_Since"] = kept["date"]
        elif kind == "suffix":
            asked_for = (None, self.random.randrange(1, 3000))
        elif kind == "range" or kind == "if-range" and kept and kept["tag"]:
            first = self.random.randrange(2000)
            asked_for = (first, first + self.random.randrange(3000))
            if kind == "if-range":
                fields["If_Range"] = kept["tag"]
        if asked_for:
            fields["Range"] = "bytes={}-{}".format(*("" if one is None else one for one in asked_for))
        asked = time.monotonic()
        answer = self.ask(kind, method, target, **fields)
        versions = self.site.versions(number, asked, time.monotonic(), BEHIND)
        self.compressed += answer.is_coded
        found = self.version(number, answer, versions, method, fields, asked_for, kept)
        if found is None:
            return
        if found not in self.site.versions(number, asked, time.monotonic(), 0):
            self.behind += 1
        if answer.status == 200 and method == "GET":
            self.kept[number, coding] = {
                "tag": answer.fields.get("etag"), "date": answer.fields.get("last-modified"),
                "version": found,
            }

    def version(self, number, answer, versions, method, fields, asked_for, kept):
        """Which version an answer is of: the newest that it can be of. None: of none."""
        if FILES[number][1] == REWRITTEN and len(versions) > 1:
            return self.meanwhile(number, answer, versions, method, asked_for)
        for version in versions:
            data = content(number, version)
            if is_right(answer, data, method, fields, asked_for, kept, version):
                return version
        may = ", ".join(map(str, versions))
        raise Wrong(f"{FILES[number][0]} {fields} kept {kept}: {tell(answer)}; version may be {may}")

    def meanwhile(self, number, answer, versions, method, asked_for):
        """A file that is rewritten in place while it is read: any record of any of its
        versions, or a connection that is cut, but never another byte."""
        if not answer.is_whole:
            self.cut += 1
            return None
        if answer.status not in (200, 206, 304, 416):
            raise Wrong(f"{FILES[number][0]}, while it was rewritten: {tell(answer)}")
        if answer.status != 200 or method == "HEAD":
            return None
        contents = [content(number, version) for version in versions]
        for place in range(0, len(answer.body), RECORD):
            record = answer.body[place : place + RECORD]
            if not any(one[place : place + len(record)] == record for one in contents):
                raise Wrong(f"{FILES[number][0]}, while it was rewritten, at {place}: {record!r}")
        self.torn += answer.body not in contents
        return None

    def expect(self, right, answer, wanted):
        if not right:
            raise Wrong(f"expected {wanted}: {tell(answer)}")

    def report(self):
        return {
            "counted": self.counted, "wrong": len(self.wrong), "told": self.wrong[:TOLD],
            "behind": self.behind, "torn": self.torn, "cut": self.cut,
            "compressed": self.compressed,
        }


def is_right(answer, data, method, fields, asked_for, kept, version):
    """Whether an answer is one for this content."""
    if data is None:
        return answer.status == 404
    if not answer.is_whole:
        return False
    if answer.status == 304:
        if "If_None_Match" not in fields and "If_Modified_Since" not in fields:
            return False
        return kept["version"] == version
    if answer.status == 200:
        if method == "HEAD":
            return answer.length() == len(data)
        # A range was asked for, and is not to be ignored, unless on a condition.
        may = not asked_for or "If_Range" in fields or len(data) == 0
        return may and answer.body == data
    if not asked_for:
        return False
    first, last = asked_for
    if first is None:
        first, last = max(0, len(data) - last), len(data) - 1
    last = min(last, len(data) - 1)
    if answer.status == 416:
        return first >= len(data) and answer.fields.get("content-range") == f"bytes */{len(data)}"
    if answer.status != 206 or "If_Range" in fields and kept["version"] != version:
        return False
    told = f"bytes {first}-{last}/{len(data)}"
    return answer.fields.get("content-range") == told and answer.body == data[first : last + 1]


def tell(answer):
    fields = {name: answer.fields.get(name) for name in ("content-length", "content-range", "etag")}
    whole = "whole" if answer.is_whole else "cut"
    return f"got {answer.status} {fields}, {whole}, {answer.body[:80]!r}, {len(answer.body)} bytes"


def run(port, site, seed, rate, over, pipe):
    """The process of one client."""
    client = Client(port, site, seed)
    client.go_on(rate, over)
    pipe.send(client.report())
