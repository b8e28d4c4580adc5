"""A policy for a site that has moved, in several languages.

A table, which is the policy's data, lists the pages that moved or are gone, and the start page
redirects to the language that the client prefers. All other paths are files, as in the default
policy.

This file does not depend on WebAssembly; `app.py` binds it to `wit/policy.wit`.
"""

import tomllib
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from innkeeper import NOT_FOUND, Decision, Redirect, Reply, page
from request import Fault, Target, site_target


class TableError(Exception):
    """What is wrong with a table, in one line."""


@dataclass(frozen=True)
class Table:
    """The data: `redirects.toml` explains its parts."""

    moved: dict[str, str]
    gone: list[str]
    languages: list[str]


# Until there is data. The host configures the guest once, so that each decision begins with its
# table.
TABLE = Table({}, [], ["en"])


def configure(data: bytes) -> None:
    """Reads the table, and checks it: a mistake is told before it serves."""
    global TABLE
    if data == b"":
        raise TableError("there is no table: name one with --data redirects.toml")
    try:
        tables = tomllib.loads(data.decode())
        moved, gone = tables["moved"], tables["gone"]["paths"]
        table = Table(moved, gone, tables["start"]["languages"])
    except UnicodeDecodeError as error:
        raise TableError(f"the table is not UTF-8: {error.reason} at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"the table is not TOML: {error}") from error
    except (KeyError, TypeError) as error:
        raise TableError(f"the table lacks {error}") from error
    check(table)
    TABLE = table


def check(table: Table) -> None:
    """Raises the first mistake in a table."""
    if not (isinstance(table.moved, dict) and isinstance(table.gone, list)):
        raise TableError("`moved` is a table, and `paths` in [gone] is a list")
    if not (isinstance(table.languages, list) and table.languages):
        raise TableError("`languages` in [start] is a list, with one at least")
    texts = [*table.moved, *table.moved.values(), *table.gone, *table.languages]
    for text in texts:
        if not isinstance(text, str):
            raise TableError(f"{text!r} is not a text")
    for old in [*table.moved, *table.gone]:
        if not old.startswith("/"):
            raise TableError(f"the path {old!r} does not begin with a /")
    for old, new in table.moved.items():
        if old.endswith("*") != new.endswith("*"):
            raise TableError(f"{old!r}: either both paths end with * or none does")
        if urlsplit(new).scheme not in ("", "http", "https"):
            raise TableError(f"{old!r}: {new!r} is neither a path nor a URL of http or https")
        # The query of the request is appended.
        if not (new.isascii() and new.isprintable()) or set(new) & set(" ?#"):
            raise TableError(f"{old!r}: {new!r} has characters that a location cannot have")
        # It costs a round trip at best.
        if has_moved(table.moved, new):
            raise TableError(f"{old!r} leads to {new!r}, which has moved too")


def has_moved(moved: dict[str, str], path: str) -> bool:
    """Whether a path has moved."""
    return any(rest_of(path, old) is not None for old in moved)


def decide(line: bytes, accept_language: str) -> Decision:
    """Decides how to respond to the request with this line and this `Accept-Language`."""
    match site_target(line):
        case Fault.MALFORMED:
            return Reply(400, b"malformed request line\n")
        case Fault.NOTHING:
            return NOT_FOUND
        case Target(path) if is_private(path):
            return NOT_FOUND
        case Target("", query):
            start = f"/{best_language(accept_language)}/"
            return Redirect(302, start + query, (("vary", "accept-language"),))
        case Target(path, query):
            return moved("/" + path, query) or gone("/" + path) or page(path)


def moved(path: str, query: str) -> Redirect | None:
    """The redirect of a path, if the table has one."""
    for old, new in TABLE.moved.items():
        rest = rest_of(path, old)
        if rest is not None:
            location = new.removesuffix("*") + quote(rest)
            return Redirect(301, location + query)
    return None


def gone(path: str) -> Reply | None:
    """The response to a path that is gone, if the table says so."""
    if any(rest_of(path, old) is not None for old in TABLE.gone):
        return Reply(410, b"This page is gone.\n")
    return None


def rest_of(path: str, pattern: str) -> str | None:
    """The part of a path that matches the `*` of a pattern; `None` if it does not match."""
    if pattern.endswith("*"):
        start = pattern.removesuffix("*")
        return path.removeprefix(start) if path.startswith(start) else None
    return "" if path == pattern else None


def is_private(path: str) -> bool:
    """Whether a name begins with a dot, other than `.well-known` at the root (RFC 8615)."""
    return any(
        name.startswith(".") and (depth, name) != (0, ".well-known")
        for depth, name in enumerate(path.split("/"))
    )


def best_language(accept_language: str) -> str:
    """The language that a client prefers (RFC 9110, section 12.5.4; RFC 4647, section 3.4)."""
    ranges = [weighted(item) for item in accept_language.split(",")]
    # The sort is stable: of equal weights the first one counts.
    for wanted, weight in sorted(ranges, key=lambda pair: -pair[1]):
        if wanted == "*" or weight <= 0:
            break
        # `de-CH` matches `de`, and `pt` matches `pt-BR`.
        while wanted:
            for language in TABLE.languages:
                if (language.lower() + "-").startswith(wanted + "-"):
                    return language
            wanted = wanted.rpartition("-")[0]
    return TABLE.languages[0]


def weighted(item: str) -> tuple[str, float]:
    """One language range, in lower case, with its weight: `de-CH;q=0.8`."""
    name, _, parameter = item.partition(";")
    name = name.strip().lower()
    key, _, value = parameter.strip().partition("=")
    if not parameter:
        return name, 1.0
    digits = value.replace(".", "", 1)
    usable = key.strip().lower() == "q" and digits.isascii() and digits.isdigit()
    return name, float(value) if usable else 0.0
