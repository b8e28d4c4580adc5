"""Turns decisions of `innkeeper.py` into those of `wit/policy.wit`.

The module `wit_world` exists in the built guest alone.
"""

import innkeeper
from wit_world.exports import policy as wit


def request(request: wit.Request) -> innkeeper.Request:
    """The request that the host asks about."""
    return innkeeper.Request(
        bytes(request.line), tuple((field.name, bytes(field.value)) for field in request.fields)
    )


def decision(decision: innkeeper.Decision) -> wit.Decision:
    """A decision for the host."""
    match decision:
        case innkeeper.Index(path):
            return wit.Decision_Index(path)
        case innkeeper.File(path):
            return wit.Decision_File(path)
        case innkeeper.NOT_FOUND:
            return wit.Decision_NotFound()
        case innkeeper.Serve(candidates, otherwise, more):
            tried = [candidate(one) for one in candidates]
            last = otherwise and redirect(otherwise)
            return wit.Decision_Serve(wit.Serve(tried, last, fields(more)))
        case innkeeper.Redirect():
            return wit.Decision_Redirect(redirect(decision))
        case innkeeper.Reply(status, body, more):
            return wit.Decision_Reply(wit.Reply(status, fields(more), body))
    raise TypeError(f"no decision: {decision!r}")


def candidate(one: innkeeper.Candidate) -> wit.Candidate:
    is_index = isinstance(one.page, innkeeper.Index)
    page = wit.Page_Index(one.page.path) if is_index else wit.Page_File(one.page.path)
    return wit.Candidate(page, one.status, one.location, fields(one.fields))


def redirect(to: innkeeper.Redirect) -> wit.Redirect:
    return wit.Redirect(to.status, to.location, fields(to.fields))


def fields(fields: innkeeper.Fields) -> list[wit.Field]:
    return [wit.Field(name, value.encode()) for name, value in fields]
