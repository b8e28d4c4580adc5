"""What a policy needs besides the request line, and decisions in few words.

Fields, cookies, parameters and passwords of a request; decisions as values that tests compare.
Copy this file into a policy of your own, with `binding.py`, which turns decisions into those of
`wit/policy.wit`. It needs nothing but Python.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

# Fields of a response: names and values.
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """One request: its line, and the fields and facts that the policy named in `INTERESTS`."""

    line: bytes
    fields: tuple[tuple[str, bytes], ...] = ()

    def value(self, name: str) -> str | None:
        """The first field of this name, which is written in lower case, or a fact."""
        values = (value for known, value in self.fields if known == name)
        return next((value.decode("utf-8", "replace") for value in values), None)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, as it was sent. The policy names `cookie` in `INTERESTS`."""
        for known, value in self.fields:
            if known == "cookie":
                for pair in value.decode("utf-8", "replace").split(";"):
                    found, equals, text = pair.partition("=")
                    if equals and found.strip() == name:
                        return text.strip()
        return None

    def basic_auth(self) -> tuple[str, str] | None:
        """User and password (RFC 7617). The policy names `authorization` in `INTERESTS`."""
        scheme, _, token = (self.value("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            decoded = base64.b64decode(token.strip(), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return None
        user, colon, password = decoded.partition(":")
        return (user, password) if colon else None


def parameters(query: str) -> list[tuple[str, str]]:
    """The parameters of a query, with or without its `?`, decoded, in their order."""
    return parse_qsl(query.removeprefix("?"), keep_blank_values=True, errors="replace")


def parameter(query: str, name: str) -> str | None:
    """The first value of the parameter with this name."""
    return next((value for known, value in parameters(query) if known == name), None)


def is_same_secret(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


@dataclass(frozen=True)
class Index:
    """Serve the index page of a directory: `""` is the root."""

    path: str


@dataclass(frozen=True)
class File:
    """Serve a file."""

    path: str


@dataclass(frozen=True)
class Redirect:
    """Send the client elsewhere."""

    status: int
    location: str
    fields: Fields = ()


@dataclass(frozen=True)
class Reply:
    """A response of the policy's own."""

    status: int
    body: bytes
    fields: Fields = ()


@dataclass(frozen=True)
class Candidate:
    """A page for `Serve`, with a status and further fields."""

    page: Index | File
    status: int = 200
    location: str | None = None
    fields: Fields = ()


@dataclass(frozen=True)
class Serve:
    """The first of several pages that is there; without any, nothing is found."""

    candidates: tuple[Candidate, ...] = ()
    otherwise: Redirect | None = None
    fields: Fields = ()


Decision = Index | File | Serve | Redirect | Reply

# There is nothing here.
NOT_FOUND = Serve()


def page(path: str) -> Index | File:
    """What a path names: an index page if it is empty or ends with `/`, else a file."""
    return Index(path) if path == "" or path.endswith("/") else File(path)


def text(status: int, body: str, media_type: str = "text/plain") -> Reply:
    """A response of the policy's own, in plain text or, say, `text/html`."""
    return Reply(status, body.encode(), (("content-type", f"{media_type}; charset=utf-8"),))


def with_field(decision: Decision, name: str, value: str) -> Decision:
    """The same decision with one more field of the response, whatever it decides."""
    match decision:
        case Index() | File():
            return Serve((Candidate(decision),), fields=((name, value),))
        case _:
            return replace(decision, fields=(*decision.fields, (name, value)))
