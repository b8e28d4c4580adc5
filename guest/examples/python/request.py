"""The request line, parsed: the path of the site that it names.

Copy this file into a policy of your own. It follows the default policy, in
`guest/src/line.rs` and `guest/src/path.rs`.
"""

import enum
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True)
class Target:
    """The path and the query of a request.

    The path is below the site's root, decoded, without `.` and `..`, and does not begin
    with `/`; that of a directory ends with `/`, and the root is `""`. The query is
    unchanged, with its `?`, or `""`.
    """

    path: str
    query: str = ""


class Fault(enum.Enum):
    """Why there is no target."""

    MALFORMED = "the line is no request line"
    NOTHING = "it is a request line that can name nothing here"


# The host asks about lines of this form alone, except when it validates a guest.
LINE = re.compile(rb"([!-~]+) ([!\"$-~]+) HTTP/1\.[0-9]")

# `/path?query`, or the same with `http://host` before it.
FORM = re.compile(r"(?:https?://[^/?@]+)?(/[^?]*)?(\?.*)?", re.IGNORECASE)


def site_target(line: bytes) -> Target | Fault:
    """The target of the request with this line, or why it has none."""
    parts = LINE.fullmatch(line)
    if parts is None:
        return Fault.MALFORMED
    method, target = parts[1], parts[2].decode("ascii")
    if method == b"CONNECT" or (method, target) == (b"OPTIONS", "*"):
        return Fault.NOTHING
    form = FORM.fullmatch(target)
    if form is None or target.startswith("?"):
        return Fault.MALFORMED
    path = resolve(form[1] or "/")
    return path if isinstance(path, Fault) else Target(path, form[2] or "")


def resolve(path: str) -> str | Fault:
    """Decodes each name of a path once, and then resolves dots (RFC 3986, section 5.2.4)."""
    if re.search("%(?![0-9A-Fa-f]{2})", path):
        return Fault.MALFORMED
    names: list[str] = []
    is_directory = True
    for segment in path[1:].split("/"):
        try:
            name = unquote_to_bytes(segment).decode("utf-8")
        except UnicodeDecodeError:
            return Fault.NOTHING
        is_directory = name in ("", ".", "..")
        if name == "..":
            if not names:
                # Above the root.
                return Fault.NOTHING
            names.pop()
        elif name != ".":
            # An escaped separator, or a control character: no file of a site.
            if re.search(r"[/\\\x00-\x1f\x7f]", name):
                return Fault.NOTHING
            names.append(name)
    resolved = "/".join(name for name in names if name)
    return resolved + "/" if is_directory and resolved else resolved
