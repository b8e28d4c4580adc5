#!/usr/bin/env python3
"""Compares innkeeper with other servers on this machine. README.md tells what and how."""

import argparse
import contextlib
import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Nothing but results is left in this folder.
sys.dont_write_bytecode = True

import ask
import cases
import files
import report
import tls
from cases import Case, Load
from load import Loader, LoadFailed, WrongAnswer
from server import Died, Running, Server, Setting, Unavailable, free_port
from servers import NAMES, Bare, all_servers

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]

# The servers of --short: those that innkeeper is measured against first.
SHORT_SERVERS = ["innkeeper", "nginx", "lighttpd", "bare"]

# Descriptors for each process, as far as they may be had.
DESCRIPTORS = 65_536
# innkeeper counts two for each connection.
DESCRIPTORS_PER_CONNECTION = 2
# Connections for the load and whatever else is open.
CONNECTIONS_BESIDE = 256

# Why a case or a server is left out; the message goes into the results too.
EXPECTED = (Unavailable, Died, WrongAnswer, LoadFailed, ask.BadAnswer, OSError)


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="innkeeper-bench-") as folder:
            results = Comparison(arguments, Path(folder)).run()
    except KeyboardInterrupt:
        say("stopped; no results were written")
        return 130
    except (Unavailable, LoadFailed, OSError) as error:
        say(str(error))
        return 1
    if not results["runs"]:
        say("nothing was measured; no results were written")
        return 1
    date = results["about"]["date"]
    where = arguments.out or report.unused(HERE.parent / "results", f"servers-{date}")
    report.write(results, where)
    print(report.table(results))
    print(f"\nresults: {os.path.relpath(where)}")
    return 0


def interrupt(*_) -> None:
    """Ends the command; everything is cleaned up on the way out, which nothing disturbs."""
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    raise KeyboardInterrupt


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--short", action="store_true", help="some cases and servers, in under two minutes")
    add("--tls", action="store_true", help="the cases of TLS and HTTP/2")
    add("--cases", type=names, metavar="A,B", help="only these cases")
    add("--servers", type=names, metavar="A,B", help="only these servers")
    add("--rounds", type=positive, metavar="N", help="runs of each case for each server (5)")
    add("--seconds", type=positive, metavar="N", help="length of a run (4)")
    add(
        "--paced-rate",
        type=positive,
        metavar="N",
        default=4_000,
        help="requests a second of the case `paced` (%(default)s)",
    )
    add(
        "--innkeeper",
        metavar="PATH",
        default=str(REPOSITORY / "target/release/innkeeper"),
        help="the program (target/release/innkeeper of this repository)",
    )
    add("--tls-client", type=Path, metavar="PATH", help="the program (made by cargo, if it is needed)")
    add("--wasmtime", metavar="PATH", help="the program (wasmtime of the search path)")
    add(
        "--wasmtime-component",
        type=Path,
        metavar="FILE",
        default=HERE / "static.wat",
        help="what `wasmtime serve` serves; must answer /1k.txt (static.wat)",
    )
    add("--out", type=Path, metavar="FILE", help="raw results (results/servers-DATE.csv)")
    add("--list", action="store_true", help="tell the cases and the servers, and end")
    arguments = parser.parse_args()
    if arguments.list:
        for case in cases.CASES:
            print(f"{case.name:12} {case.description}")
        print(f"\nservers: {', '.join(NAMES)}")
        sys.exit(0)

    known = [case.name for case in cases.CASES]
    short = arguments.short
    if arguments.tls and not arguments.cases:
        arguments.cases = cases.TLS
    arguments.cases = arguments.cases or (cases.SHORT if short else known)
    arguments.servers = arguments.servers or (SHORT_SERVERS if short else NAMES)
    arguments.rounds = arguments.rounds or (3 if short else 5)
    arguments.seconds = arguments.seconds or (1 if short else 4)
    for kind, chosen, there in [
        ("case", arguments.cases, known),
        ("server", arguments.servers, NAMES),
    ]:
        for name in chosen:
            if name not in there:
                parser.error(f"there is no {kind} {name}; there are {', '.join(there)}")
    # Servers run in folders of their own.
    arguments.innkeeper = os.path.abspath(arguments.innkeeper)
    if arguments.tls_client:
        arguments.tls_client = arguments.tls_client.absolute()
    if arguments.wasmtime and os.sep in arguments.wasmtime:
        arguments.wasmtime = os.path.abspath(arguments.wasmtime)
    arguments.wasmtime_component = arguments.wasmtime_component.absolute()
    if not arguments.wasmtime_component.is_file():
        parser.error(f"there is no component {arguments.wasmtime_component}")
    return arguments


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


class Comparison:
    """All runs of one command."""

    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self.arguments = arguments
        self.folder = folder
        self.site = folder / "site"
        self.descriptors = raise_descriptors()
        self.cases = [
            within(case, self.descriptors)
            for case in cases.CASES
            if case.name in arguments.cases
        ]
        self.starts = 0
        self.loader = Loader(
            arguments.seconds, arguments.paced_rate, folder, arguments.tls_client
        )
        self.servers: list[Server] = []
        self.runs: list[dict] = []
        self.left_out: list[dict] = []

    def run(self) -> dict:
        self.prepare()
        self.tell_plan()
        for number, case in enumerate(self.cases, 1):
            say(f"[{number}/{len(self.cases)}] {case.name}: {case.description}")
            self.measure_case(case)
        return {
            "about": report.about(),
            "versions": {server.name: server.version() for server in self.servers},
            "rounds": self.arguments.rounds,
            "runs": self.runs,
            "left_out": self.left_out,
        }

    def prepare(self) -> None:
        self.site.mkdir()
        # A server that runs as another user may read it.
        self.folder.chmod(0o755)
        files.generate(self.site)
        if any(case.load is Load.PACED for case in self.cases):
            compile_rust("paced", self.folder)
        for guest in {case.guest for case in self.cases if case.guest}:
            build_guest(guest, self.folder)
        if any(case.tls for case in self.cases):
            tls.prepare(self.folder)
            if not self.loader.tls_client and any(needs_tls_client(case) for case in self.cases):
                self.loader.tls_client = build_tls_client(self.folder)
        arguments = self.arguments
        for server in all_servers(
            arguments.innkeeper,
            arguments.wasmtime,
            arguments.wasmtime_component,
            self.folder / "bare",
        ):
            if server.name not in arguments.servers:
                continue
            try:
                if isinstance(server, Bare):
                    compile_rust("bare", self.folder)
                server.find()
            except Unavailable as error:
                self.leave_out(server, None, error)
            else:
                self.servers.append(server)
        if not self.servers:
            raise Unavailable("no server is there to be measured")

    def tell_plan(self) -> None:
        runs = sum(server.serves(case) for case in self.cases for server in self.servers)
        # A run and a warm-up, with some time to start and to look.
        seconds = runs * (self.arguments.rounds * (self.arguments.seconds + 0.1) + 1.2)
        say(
            f"{', '.join(server.name for server in self.servers)}: {len(self.cases)} cases, "
            f"{self.arguments.rounds} rounds of {self.arguments.seconds} s, "
            f"about {max(1, round(seconds / 60))} min"
        )

    def measure_case(self, case: Case) -> None:
        """All rounds of a case. In each round the servers take turns, and another begins:
        what disturbs the machine for a while then disturbs all of them alike."""
        with contextlib.ExitStack() as stack:
            ready = {}
            for server in self.servers:
                if not server.serves(case):
                    continue
                # A server that is started anew for each run is started first within it.
                ready[server] = None
                if not case.fresh:
                    try:
                        ready[server] = stack.enter_context(self.started(server, case))
                    except EXPECTED as error:
                        self.leave_out(server, case, error)
                        del ready[server]
            for number in range(self.arguments.rounds):
                order = list(ready)
                first = number % len(order) if order else 0
                for server in order[first:] + order[:first]:
                    try:
                        if case.fresh:
                            with self.started(server, case) as there:
                                self.measure(there, case, number)
                        else:
                            self.measure(ready[server], case, number)
                    except EXPECTED as error:
                        self.leave_out(server, case, error)
                        del ready[server]

    @contextlib.contextmanager
    def started(
        self, server: Server, case: Case
    ) -> Iterator[tuple[Running, ask.Answer, dict[str, str]]]:
        """A server that runs, gives the right answer, and is warm."""
        self.starts += 1
        folder = self.folder / f"{self.starts}-{server.name}"
        setting = Setting(case, self.site, folder, free_port(), self.descriptors)
        running = server.start(setting)
        try:
            running.wait_until_ready()
            answer, fields = self.loader.verify(running, case)
            self.loader.warm_up(running, case, fields)
            yield running, answer, fields
        finally:
            running.stop()

    def measure(
        self, there: tuple[Running, ask.Answer, dict[str, str]], case: Case, number: int
    ) -> None:
        running, answer, fields = there
        run = self.loader.measure(running, case, answer, fields)
        self.runs.append({"case": case.name, "server": running.name, "round": number + 1} | run)
        say(
            f"  round {number + 1}  {running.name:18}{run['requests_per_second']:>12,.1f} /s"
            f"  CPU {run['cpu_us_per_request']:>10,.2f} µs"
        )
        for problem in run["problems"]:
            say(f"    ! {running.name}: {problem}")

    def leave_out(self, server: Server, case: Case | None, error: Exception) -> None:
        """Tells why, and goes on without."""
        what = f"{server.name} in {case.name}" if case else server.name
        say(f"  without {what}: {error}")
        # The message may hold paths of this machine; the results hold its kind alone.
        self.left_out.append(
            {
                "server": server.name,
                "case": case.name if case else None,
                "why": type(error).__name__,
            }
        )


def raise_descriptors() -> int:
    """Takes as many descriptors as there may be, for this process and those it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS:
        # Root may go beyond the limit.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
            return DESCRIPTORS
    allowed = min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def within(case: Case, descriptors: int) -> Case:
    """The case with as many held connections as descriptors allow for all servers."""
    held = min(case.held, descriptors // DESCRIPTORS_PER_CONNECTION - CONNECTIONS_BESIDE)
    if held == case.held:
        return case
    needed = (case.held + CONNECTIONS_BESIDE) * DESCRIPTORS_PER_CONNECTION
    say(
        f"{case.name}: {held:,} connections instead of {case.held:,}, for there are "
        f"{descriptors:,} descriptors and not {needed:,}; raise the hard limit (ulimit -Hn)"
    )
    return dataclasses.replace(
        case,
        held=held,
        description=case.description.replace(f"{case.held:,}", f"{held:,}"),
    )


def needs_tls_client(case: Case) -> bool:
    return case.tls and case.load in (Load.BESIDE_IDLE, Load.HANDSHAKES, Load.TLS_PACED)


def build_tls_client(folder: Path) -> Path:
    """Builds the clients over TLS; the first time takes a minute."""
    return cargo_build("clients/tls", "tls-client", [], folder) / "release/tls-client"


def build_guest(name: str, folder: Path) -> None:
    """Builds a guest into this folder."""
    wasm = ["--target", "wasm32-unknown-unknown"]
    built = cargo_build(f"guests/{name}", f"bench-{name}", wasm, folder)
    shutil.copy(built / f"wasm32-unknown-unknown/release/{name}.wasm", folder)


def cargo_build(source: str, name: str, arguments: list[str], folder: Path) -> Path:
    """Builds a package of the benchmarks, and gives the folder of what came of it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / name
    manifest = HERE.parent / source / "Cargo.toml"
    command = ["cargo", "build", "--release", "--quiet", "--locked", *arguments]
    command += ["--target-dir", str(target), "--manifest-path", str(manifest)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if result.returncode:
        raise Unavailable(f"{name} does not build:\n{result.stderr[-2000:]}")
    return target


def compile_rust(name: str, folder: Path) -> None:
    """Compiles a single file of this folder."""
    command = ["rustc", "-O", "--edition", "2021", "-o", str(folder / name)]
    try:
        result = subprocess.run(
            [*command, str(HERE / f"{name}.rs")], capture_output=True, text=True
        )
    except FileNotFoundError:
        raise Unavailable(
            f"{name}.rs needs rustc; install Rust, or choose --cases and --servers without {name}"
        ) from None
    if result.returncode:
        raise Unavailable(f"{name}.rs does not compile:\n{result.stderr}")


if __name__ == "__main__":
    sys.exit(main())
