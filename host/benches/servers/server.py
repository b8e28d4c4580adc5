"""A server of a comparison: how it is started, checked and stopped."""

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import ask
import files
import tls
from cases import Case

# As many as the machine has cores, on the machine that the harness was written for;
# bare.rs has the same number of threads.
WORKERS = 2

# Long enough that no connection of a run is closed for being idle.
IDLE_SECONDS = 600

START_SECONDS = 15
STOP_SECONDS = 3

# Ports are taken below the range that the kernel takes clients' ports from (32768 and
# up by default): a client would else now and then hold the port of a server to come.
FIRST_PORT = 20_000
LAST_PORT = 32_000


class Unavailable(Exception):
    """A server cannot be measured; the message says why and what to do."""


class Died(Exception):
    """A server ended, or does not answer."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as probe:
            # Connections of earlier runs that linger are in nobody's way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except OSError:
                continue
            return port
    raise Unavailable(f"no port between {FIRST_PORT} and {LAST_PORT} is free; free one")


@dataclass
class Setting:
    """What a server is started for."""

    case: Case
    site: Path
    # A folder for this start alone.
    folder: Path
    port: int
    descriptors: int

    @property
    def certificate(self) -> Path:
        return tls.certificate(self.site.parent)

    @property
    def key(self) -> Path:
        return tls.key(self.site.parent)

    @property
    def guest(self) -> Path:
        return self.site.parent / f"{self.case.guest}.wasm"

    @property
    def log(self) -> Path:
        return self.folder / "access.log"

    @property
    def connections(self) -> int:
        """Connections that one worker must be able to hold, all of them in the worst case."""
        return max(1024, self.case.held + 2 * self.case.connections)


class Server:
    """One kind of server. Subclasses say how it is found and configured."""

    name = ""
    install = ""
    logs = True
    # Whether it is set up for TLS and HTTP/2 here.
    tls = False

    def __init__(self, program: str | None = None):
        self.program = program

    def find(self) -> str:
        """The program's path."""
        # Debian keeps servers where only root looks.
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        found = shutil.which(self.program or self.name, path=path)
        if not found:
            raise Unavailable(f"{self.name} is not installed; {self.install}")
        return found

    def version(self) -> str:
        """One line, as the program says it."""
        result = subprocess.run(
            [self.find(), *self.version_arguments()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10,
        )
        return result.stdout.strip().splitlines()[0] if result.stdout.strip() else "unknown"

    def version_arguments(self) -> list[str]:
        return ["--version"]

    def serves(self, case: Case) -> bool:
        """Whether the case can be tried with this server."""
        if case.servers and self.name not in case.servers:
            return False
        return (self.logs or not case.logged) and (self.tls or not case.tls)

    def group(self, case: Case) -> str:
        """The group of key exchange that clients offer it."""
        return tls.X25519MLKEM768 if case.name == "tls-mlkem" else tls.X25519

    def command(self, setting: Setting) -> list[str]:
        """The command line, for which files may be written into the setting's folder."""
        raise NotImplementedError

    def environment(self, setting: Setting) -> dict[str, str]:
        """Variables beside those of the harness."""
        return {}

    def start(self, setting: Setting) -> "Running":
        setting.folder.mkdir()
        command = self.command(setting)
        # Standard output is the access log of the servers that write it there. It is
        # opened to append, as the servers open their logs: it is emptied between runs.
        with (
            (setting.folder / "errors").open("ab") as errors,
            setting.log.open("ab") as log,
        ):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                env={**os.environ, **self.environment(setting)},
                cwd=setting.folder,
                # A group of its own: Ctrl-C is for the harness, which then stops the
                # server, and what the server started can be ended with it.
                start_new_session=True,
            )
        return Running(self, setting, process)


class Running:
    """A server that was started."""

    def __init__(self, server: Server, setting: Setting, process: subprocess.Popen):
        self.server = server
        self.setting = setting
        self.process = process

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def port(self) -> int:
        return self.setting.port

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_ready(self) -> None:
        """Returns when it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.check()
            try:
                ask.ask(self.port, files.HOT, wire=self.setting.case.wire)
                return
            except (OSError, ask.BadAnswer) as error:
                if time.monotonic() > deadline:
                    raise Died(
                        f"{self.name} gave no answer within {START_SECONDS} s ({error})"
                        f"{self.last_words()}"
                    ) from error
            time.sleep(0.05)

    def check(self) -> None:
        """Raises Died if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise Died(f"{self.name} ended with exit code {code}{self.last_words()}")

    def last_words(self) -> str:
        lines = (self.setting.folder / "errors").read_text(errors="replace").splitlines()
        return "; its last lines:\n    " + "\n    ".join(lines[-5:]) if lines else ""

    def stop(self) -> None:
        """Ends it and all that it started."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
