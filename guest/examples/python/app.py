"""Binds the policy to `wit/policy.wit`. The module `wit_world` exists in the built guest alone."""

import binding
import policy
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import policy as wit


class Configuration(exports.Configuration):
    """What the host calls once, before all else: what it leaves is there for each decision."""

    def configure(self, data: bytes) -> None:
        try:
            policy.configure(data)
        except policy.TableError as error:
            raise Err(str(error)) from error


class Policy(exports.Policy):
    """The functions that the host calls: a class for the interface, a method for each function."""

    def interests(self) -> list[str]:
        return ["accept-language"]

    def decide(self, request: wit.Request) -> wit.Decision:
        # Several field lines mean the same as one line with commas.
        accept_language = ",".join(field.value.decode("latin-1") for field in request.fields)
        return binding.decision(policy.decide(request.line, accept_language))
