"""Runs a case's load once against one server, and measures it."""

import json
import os
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import ask
import files
import processes
import tls
from cases import PIPELINE, Case, Load, Wire
from held import Held, Idle, IdleOverTls, Slow
from server import Running

HERE = Path(__file__).resolve().parent

# Longer than any healthy answer takes; wrk's own 2 s are short for a large file.
WRK_TIMEOUT = "10s"
WARM_UP_SECONDS = 1

# Bytes of an answer by which it may differ from the one that was verified: a field such
# as Connection that depends on the request.
HEAD_TOLERANCE = 64

# The share of the given rate at which a paced run still counts as sustained.
SUSTAINED = 0.98

# How long a server may take to write its log out after a run.
LOG_SECONDS = 6
# The share of requests whose lines must be in the log. Those that were in flight when
# the load ended are in it and not among the requests, so that more is usual.
LOGGED = 0.99

# The share of the machine that others may take during a run before it is told. They
# change the throughput at once, and the CPU time for a request little.
OTHERS = 0.1

# How long memory gets to settle before it is looked at.
SETTLE_SECONDS = 0.3

# What h2load's run ends with: requests that ended, of which well, and bytes of bodies.
H2LOAD_REQUESTS = re.compile(
    r"requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed"
)
H2LOAD_STATUSES = re.compile(r"status codes: \d+ 2xx, \d+ 3xx, (\d+) 4xx, (\d+) 5xx")
H2LOAD_BYTES = re.compile(r"traffic: .* \((\d+)\) data")


class LoadFailed(Exception):
    """The load generator could not do its work."""


class WrongAnswer(Exception):
    """A server does not give the answer that the case is about."""


class Loader:
    """Asks servers, in one way for all of them."""

    def __init__(self, seconds: int, rate: int, folder: Path, tls_client: Path | None):
        self.seconds = seconds
        self.rate = rate
        self.folder = folder
        self.tls_client = tls_client

    def verify(self, running: Running, case: Case) -> tuple[ask.Answer, dict[str, str]]:
        """The answer that this server gives in this case, and the fields that get it."""
        fields = dict(case.fields)
        if case.conditional:
            first = ask.ask(running.port, case.path, wire=case.wire)
            if "etag" not in first.fields:
                raise WrongAnswer(f"{running.name} sends no ETag that could be repeated")
            fields["If-None-Match"] = first.fields["etag"]
        answer = ask.ask(running.port, case.path, fields, case.wire)
        if answer.status not in case.statuses:
            raise WrongAnswer(
                f"{running.name} answers {case.path} with status {answer.status} "
                f"instead of {' or '.join(map(str, case.statuses))}"
            )
        if answer.status == 200:
            right = files.content(running.setting.site, case.path)
            if answer.body != right:
                raise WrongAnswer(
                    f"{running.name} answers {case.path} with {len(answer.body)} bytes that "
                    f"are not the file's {len(right)}"
                )
        return answer, fields

    def warm_up(self, running: Running, case: Case, fields: dict[str, str]) -> None:
        """A load that is not measured: caches are filled, memory is taken."""
        self.run_load(running, case, fields, WARM_UP_SECONDS)
        running.check()

    def measure(
        self, running: Running, case: Case, answer: ask.Answer, fields: dict[str, str]
    ) -> dict:
        """One run. What is doubtful about it is told in its `problems`."""
        if case.load is Load.BESIDE_IDLE:
            run = self.measure_beside(running, case, fields, self.idle(running, case))
        elif case.load is Load.BESIDE_SLOW:
            run = self.measure_beside(running, case, fields, Slow(running.port, case.held))
        else:
            run = self.measure_load(running, case, fields)
        running.check()
        run["problems"] = doubts(run, case, answer, self.rate)
        if case.by_bytes:
            run["requests"] = run["bytes"] / answer.total_bytes
        if run["requests"] == 0:
            raise LoadFailed(f"{running.name} answered nothing within {self.seconds} s")
        if case.logged:
            run["log_lines"] = count_and_empty(running.setting.log, run["requests"])
            if run["log_lines"] < LOGGED * run["requests"]:
                run["problems"].append(
                    f"the access log has {run['log_lines']:,} lines for "
                    f"{run['requests']:,} requests"
                )
        run["requests_per_second"] = run["requests"] / run["seconds"]
        run["cpu_us_per_request"] = run["cpu_seconds"] * 1e6 / run["requests"]
        return run

    def idle(self, running: Running, case: Case) -> Held | IdleOverTls:
        if case.tls:
            return IdleOverTls(self.client(), running.port, case.held, case.wire)
        return Idle(running.port, case.held)

    def measure_beside(
        self,
        running: Running,
        case: Case,
        fields: dict[str, str],
        held: Held | IdleOverTls,
    ) -> dict:
        time.sleep(SETTLE_SECONDS)
        before = processes.proportional_kib(running.pid)
        with held:
            # Slow readers have what the server holds ready for them by then.
            time.sleep(SETTLE_SECONDS)
            count = held.open()
            if not count:
                raise LoadFailed(f"{running.name} held no connection open")
            growth = processes.proportional_kib(running.pid) - before
            run = self.measure_load(running, case, fields)
            run["held"] = held.open()
        run["kib_per_connection"] = growth / count
        return run

    def measure_load(self, running: Running, case: Case, fields: dict[str, str]) -> dict:
        others = others_seconds()
        before = processes.cpu_seconds(running.pid)
        run = self.run_load(running, case, fields, self.seconds)
        run["cpu_seconds"] = processes.cpu_seconds(running.pid) - before
        run["peak_memory_kib"] = processes.memory_kib(running.pid, "VmHWM")
        run["seconds"] = run.pop("microseconds") / 1e6
        took = run["seconds"] * (os.cpu_count() or 1)
        run["others_share"] = max(0.0, others_seconds() - others) / took
        return run

    def run_load(
        self, running: Running, case: Case, fields: dict[str, str], seconds: int
    ) -> dict:
        """What the case's load generator measures."""
        match case.load:
            case Load.PACED:
                return self.run_paced(running, case, seconds)
            case Load.HANDSHAKES:
                return self.run_handshakes(running, case, seconds)
            case Load.TLS_PACED:
                return self.run_tls_paced(running, case, seconds)
        if case.wire is Wire.HTTP2:
            return self.run_h2load(running, case, seconds)
        return self.run_wrk(running, case, fields, seconds)

    def client(self) -> Path:
        if not self.tls_client:
            raise LoadFailed("tls-client is not built")
        return self.tls_client

    def environment(self) -> dict[str, str]:
        """Of load generators on OpenSSL."""
        return {**os.environ, "OPENSSL_CONF": str(tls.client_configuration(self.folder))}

    def run_wrk(
        self, running: Running, case: Case, fields: dict[str, str], seconds: int
    ) -> dict:
        command = [program("wrk", "wrk"), "--threads", str(case.threads)]
        command += ["--connections", str(case.connections)]
        command += ["--duration", f"{seconds}s", "--timeout", WRK_TIMEOUT]
        command += ["--script", str(HERE / "wrk" / case.script)]
        for name, value in fields.items():
            command += ["--header", f"{name}: {value}"]
        scheme = "https" if case.tls else "http"
        command += [f"{scheme}://127.0.0.1:{running.port}{case.path}", "--"]
        if case.script == "unique.lua":
            # A mark of this run.
            command.append(uuid.uuid4().hex[:8])
        command += case.script_arguments
        return result_of(command, seconds, self.environment())

    def run_h2load(self, running: Running, case: Case, seconds: int) -> dict:
        command = [program("h2load", "nghttp2-client"), "--threads", str(case.threads)]
        command += ["--clients", str(case.connections)]
        command += ["--max-concurrent-streams", str(case.streams)]
        command += ["--duration", str(seconds), "--tls13-ciphers", tls.CIPHERS]
        command += [f"https://127.0.0.1:{running.port}{case.path}"]
        output = output_of(command, seconds, self.environment())
        requests = H2LOAD_REQUESTS.search(output)
        statuses = H2LOAD_STATUSES.search(output)
        data = H2LOAD_BYTES.search(output)
        if not (requests and statuses and data):
            raise LoadFailed(f"h2load measured nothing: {output.strip()[-400:]}")
        return {
            "requests": int(requests[1]),
            "bytes": int(data[1]),
            # What it prints rounds the duration that it was given.
            "microseconds": seconds * 1_000_000,
            "error_statuses": int(statuses[1]) + int(statuses[2]),
            "errors": {"connect": 0, "read": int(requests[2]), "write": 0, "timeout": 0},
        }

    def run_paced(self, running: Running, case: Case, seconds: int) -> dict:
        numbers = [self.rate, case.connections, seconds]
        paced = self.folder / "paced"
        command = [str(paced), str(running.port), case.path, *map(str, numbers)]
        return result_of(command, seconds)

    def run_handshakes(self, running: Running, case: Case, seconds: int) -> dict:
        command = [str(self.client()), "handshakes", str(running.port), case.path]
        command += [str(case.connections), str(seconds)]
        command += ["resumed" if case.resumed else "full", running.server.group(case)]
        return result_of(command, seconds)

    def run_tls_paced(self, running: Running, case: Case, seconds: int) -> dict:
        kind = "h2" if case.wire is Wire.HTTP2 else "h1"
        command = [str(self.client()), "paced", str(running.port), case.path]
        command += [str(rate_of(case, self.rate)), str(case.connections), str(seconds), kind]
        if case.downloads:
            command += [files.LARGE, str(case.downloads)]
        return result_of(command, seconds)


def program(name: str, package: str) -> str:
    """Its path."""
    found = shutil.which(name)
    if not found:
        raise LoadFailed(f"{name} is not installed; for example `apt-get install {package}`")
    return found


def rate_of(case: Case, rate: int) -> int:
    """Requests a second of a paced case: few where the machine is busy beside them."""
    return rate // 8 if case.tls else rate


def output_of(command: list[str], seconds: int, environment: dict[str, str] | None) -> str:
    """What a load generator prints."""
    name = os.path.basename(command[0])
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{name} did not end a minute after its time was over") from error
    if result.returncode:
        said = (result.stderr + result.stdout).strip()
        raise LoadFailed(f"{name} failed (exit code {result.returncode}): {said[-400:]}")
    return result.stdout


def result_of(
    command: list[str], seconds: int, environment: dict[str, str] | None = None
) -> dict:
    """Runs a load generator and reads the line that it prints."""
    output = output_of(command, seconds, environment)
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    name = os.path.basename(command[0])
    raise LoadFailed(f"{name} measured nothing: {output.strip()[-400:]}")


def others_seconds() -> float:
    """User time so far of processes that are not ours. Time in the system is left out:
    that of interrupts belongs to nobody in particular."""
    return processes.machine_user_seconds() - processes.user_seconds(os.getpid())


def doubts(run: dict, case: Case, answer: ask.Answer, rate: int) -> list[str]:
    """What speaks against a run."""
    found = []
    errors = {kind: count for kind, count in run["errors"].items() if count}
    if errors:
        told = ", ".join(f"{count} {kind}" for kind, count in errors.items())
        found.append(f"socket errors: {told}")
    requests = run["requests"]
    wrong = run["error_statuses"]
    if case.statuses[0] >= 400:
        wrong = requests - wrong
    if wrong:
        found.append(f"{wrong:,} of {requests:,} answers had an unexpected status")
    # Statuses below 400 are told apart by the size of what came: 200 from 304, say. At
    # the end of a run as many answers are under way as were asked for at once.
    if requests and not case.by_bytes:
        under_way = case.connections * max(PIPELINE, case.streams) * answer.total_bytes
        difference = abs(run["bytes"] - requests * answer.total_bytes)
        if difference > requests * HEAD_TOLERANCE + under_way:
            size = run["bytes"] / requests
            found.append(
                f"{size:,.0f} bytes came for each answer instead of {answer.total_bytes:,}"
            )
    if case.load in (Load.PACED, Load.TLS_PACED):
        rate = rate_of(case, rate)
        if run["requests"] / run["seconds"] < SUSTAINED * rate:
            found.append(f"{rate:,} requests a second were not sustained")
    if case.load is Load.HANDSHAKES:
        # The first of each connection's is full.
        expected = requests - case.connections if case.resumed else 0
        if run["resumed"] < expected or run["resumed"] > expected and not case.resumed:
            found.append(f"{run['resumed']:,} of {requests:,} sessions were resumed")
    if run["others_share"] > OTHERS:
        found.append(f"others had {run['others_share']:.0%} of the machine's cores")
    if case.held and run["held"] < case.held:
        found.append(f"{run['held']:,} of {case.held:,} held connections stayed open")
    return found


def count_and_empty(log: Path, requests: int) -> int:
    """The lines of an access log, once they are written. They are then removed."""
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        with log.open("rb") as file:
            lines = sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
        if lines >= requests or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    os.truncate(log, 0)
    return lines
