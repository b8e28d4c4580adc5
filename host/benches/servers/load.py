"""Runs a case's load once against one server, and measures it."""

import json
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import ask
import files
import processes
from cases import PIPELINE, Case, Load
from held import Held, Idle, Slow
from servers import Running

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


class LoadFailed(Exception):
    """The load generator could not do its work."""


class WrongAnswer(Exception):
    """A server does not give the answer that the case is about."""


class Loader:
    """Asks servers, in one way for all of them."""

    def __init__(self, seconds: int, rate: int, paced_program: Path):
        self.seconds = seconds
        self.rate = rate
        self.paced_program = paced_program
        found = shutil.which("wrk")
        if not found:
            raise LoadFailed("wrk is not installed; for example `apt-get install wrk`")
        self.wrk = found

    def verify(self, running: Running, case: Case) -> tuple[ask.Answer, dict[str, str]]:
        """The answer that this server gives in this case, and the fields that get it."""
        fields = dict(case.fields)
        if case.conditional:
            first = ask.ask(running.port, case.path)
            if "etag" not in first.fields:
                raise WrongAnswer(f"{running.name} sends no ETag that could be repeated")
            fields["If-None-Match"] = first.fields["etag"]
        answer = ask.ask(running.port, case.path, fields)
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
        self.run_wrk(running, case, fields, WARM_UP_SECONDS)
        running.check()

    def measure(
        self, running: Running, case: Case, answer: ask.Answer, fields: dict[str, str]
    ) -> dict:
        """One run. What is doubtful about it is told in its `problems`."""
        if case.load is Load.BESIDE_IDLE:
            run = self.measure_beside(running, case, fields, Idle(running.port, case.held))
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

    def measure_beside(
        self, running: Running, case: Case, fields: dict[str, str], held: Held
    ) -> dict:
        time.sleep(SETTLE_SECONDS)
        before = processes.memory_kib(running.pid, "VmRSS")
        with held:
            # Slow readers have what the server holds ready for them by then.
            time.sleep(SETTLE_SECONDS)
            count = held.open()
            if not count:
                raise LoadFailed(f"{running.name} held no connection open")
            growth = processes.memory_kib(running.pid, "VmRSS") - before
            run = self.measure_load(running, case, fields)
            run["held"] = held.open()
        run["kib_per_connection"] = growth / count
        return run

    def measure_load(self, running: Running, case: Case, fields: dict[str, str]) -> dict:
        others = others_seconds()
        before = processes.cpu_seconds(running.pid)
        if case.load is Load.PACED:
            run = self.run_paced(running, case)
        else:
            run = self.run_wrk(running, case, fields, self.seconds)
        run["cpu_seconds"] = processes.cpu_seconds(running.pid) - before
        run["peak_memory_kib"] = processes.memory_kib(running.pid, "VmHWM")
        run["seconds"] = run.pop("microseconds") / 1e6
        took = run["seconds"] * (os.cpu_count() or 1)
        run["others_share"] = max(0.0, others_seconds() - others) / took
        return run

    def run_wrk(
        self, running: Running, case: Case, fields: dict[str, str], seconds: int
    ) -> dict:
        command = [self.wrk, "--threads", str(case.threads)]
        command += ["--connections", str(case.connections)]
        command += ["--duration", f"{seconds}s", "--timeout", WRK_TIMEOUT]
        command += ["--script", str(HERE / "wrk" / case.script)]
        for name, value in fields.items():
            command += ["--header", f"{name}: {value}"]
        command += [f"http://127.0.0.1:{running.port}{case.path}", "--"]
        if case.script == "unique.lua":
            # A mark of this run.
            command.append(uuid.uuid4().hex[:8])
        command += case.script_arguments
        return result_of(command, seconds)

    def run_paced(self, running: Running, case: Case) -> dict:
        numbers = [self.rate, case.connections, self.seconds]
        command = [str(self.paced_program), str(running.port), case.path, *map(str, numbers)]
        return result_of(command, self.seconds)


def result_of(command: list[str], seconds: int) -> dict:
    """Runs a load generator and reads the line that it prints."""
    name = os.path.basename(command[0])
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{name} did not end a minute after its time was over") from error
    for line in result.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    said = (result.stderr + result.stdout).strip()
    raise LoadFailed(f"{name} measured nothing (exit code {result.returncode}): {said[-400:]}")


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
        under_way = case.connections * PIPELINE * answer.total_bytes
        difference = abs(run["bytes"] - requests * answer.total_bytes)
        if difference > requests * HEAD_TOLERANCE + under_way:
            size = run["bytes"] / requests
            found.append(
                f"{size:,.0f} bytes came for each answer instead of {answer.total_bytes:,}"
            )
    if case.load is Load.PACED and run["requests"] / run["seconds"] < SUSTAINED * rate:
        found.append(f"{rate:,} requests a second were not sustained")
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
