#!/usr/bin/env python3
"""Clients that abuse HTTP/2: what honest ones notice of them, and what they cost the server.

    host/benches/h2_abuse.py target/release/innkeeper [--seconds N] [--rounds N] [--connections N]
        [--only WORDS] [--nginx] [--quick] [--out FILE]

For each kind of abuse, p99 of honest clients of HTTP/2 without and beside a crowd of such clients;
what the server did to them; and its CPU time, memory and descriptors. With --nginx the same is
done to nginx, in turns: what honest clients notice there too is the machine's doing, as the crowd
computes on it as well. Prints a table and writes all results as CSV (--out). Ends with 1 if an
honest request failed, or memory grew beyond a bound.

Needs Linux and Python 3.9. HTTP/2 is spoken without TLS, by prior knowledge.
"""

import argparse
import statistics
import sys
from pathlib import Path

import raw
from clients import http2, nginx
from clients.abuse import KINDS, Crowd
from clients.honest import CONNECTIONS, Honest
from clients.server import held, wait_for_descriptors
from operations import Server
from rude import SPARE_DESCRIPTORS, measured, try_all

# Until the server has closed what its clients left.
PATIENCE = 45

# What a server may hold beyond what it held before, with 64 connections of 100 streams each.
MOST_GROWTH_MIB = 64

HEAD = """\
| kind | p99 alone | beside | ratio | nginx: ratio | CPU, cores (nginx) | memory before / most / after | what became of them | honest failures |
|---|---|---|---|---|---|---|---|---|"""


def measured_cores(server, honest, seconds):
    found = measured(server, honest, seconds)
    found["cores"] = round(found.pop("server_cpu_seconds") / seconds, 3)
    return found


def one_round(server, files, kind, count, seconds):
    """Honest clients without and beside a crowd."""
    found = {}
    with Honest(server.port, files, http2.Connection) as honest:
        failed = [honest.connect(CONNECTIONS)]
        found["alone"] = measured_cores(server, honest, seconds)
        crowd = Crowd(kind, server.port, count)
        with crowd:
            failed.append(honest.connect(CONNECTIONS))
            found["beside"] = measured_cores(server, honest, seconds)
            found["meanwhile"] = held(server.process.pid)
    found["abuse"] = crowd.told
    found["not_connected"] = [one for one in failed if one]
    return found


def try_kind(program, folder, files, kind, settings):
    """All rounds of one kind, on a server of its own."""
    arguments = ["--http2-prior-knowledge", "--access-log", "off", "--code-cache", str(folder / "cache")]
    server = Server(program, folder / "site", arguments)
    rival = nginx.Nginx(folder / "site", folder, options=" http2") if settings.nginx else None
    with Honest(server.port, files, http2.Connection) as honest:
        honest.connect(CONNECTIONS)
        honest.start(0.5)
        honest.finish()
    pid = server.process.pid
    found = {"before": held(pid), "rounds": [], "nginx": []}
    for _ in range(settings.rounds):
        one = one_round(server, files, kind, settings.connections, settings.seconds)
        one["given_back_seconds"] = wait_for_descriptors(
            pid, found["before"]["descriptors"] + SPARE_DESCRIPTORS, PATIENCE)
        found["rounds"].append(one)
        if rival:
            found["nginx"].append(one_round(rival, files, kind, settings.connections, settings.seconds))
    if rival:
        rival.stop()
    found["after"] = held(pid)
    server.stop()
    found["failures"] = [
        failure for one in found["rounds"]
        for failure in [*one["not_connected"], *one["alone"]["failures"], *one["beside"]["failures"]]]
    found["growth_mib"] = (found["after"]["most_rss_kib"] - found["before"]["rss_kib"]) / 1024
    return found


def middle(rounds, of):
    values = [of(one) for one in rounds]
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else float("nan")


def ratio(rounds):
    return middle(rounds, lambda one: one["beside"]["p99_ms"] / one["alone"]["p99_ms"]
                  if one["beside"]["p99_ms"] else None)


def row(name, found):
    """A line of the table."""
    rounds = found["rounds"]
    alone, beside = (middle(rounds, lambda one: one[when]["p99_ms"]) for when in ("alone", "beside"))
    cores = middle(rounds, lambda one: one["beside"]["cores"])
    rival, their_cores = "", ""
    if found["nginx"]:
        rival = f"{ratio(found['nginx']):.2f}"
        their_cores = f" ({middle(found['nginx'], lambda one: one['beside']['cores']):.2f})"
    memory = [found["before"]["rss_kib"], found["after"]["most_rss_kib"], found["after"]["rss_kib"]]
    memory = " / ".join(f"{one / 1024:.1f}" for one in memory)
    abuse = rounds[-1]["abuse"]
    became = ", ".join(f"{count:,} × {what}" for what, count in abuse["outcomes"].items())
    return (f"| {name} | {alone:.2f} ms | {beside:.2f} ms | {ratio(rounds):.2f} | {rival} "
            f"| {cores:.2f}{their_cores} | {memory} MiB | {became} | {len(found['failures'])} |")


def described(name, found):
    """Its line of the table, and the first failures."""
    return "\n".join([row(name, found), *(f"  {failure}" for failure in found["failures"][:5])])


def rows(results):
    """A row for each round of each kind."""
    for kind, found in results.items():
        for server, rounds in (("innkeeper", found["rounds"]), ("nginx", found["nginx"])):
            for number, one in enumerate(rounds, 1):
                phases = {when: one[when] | {"failures": len(one[when]["failures"])}
                          for when in ("alone", "beside")}
                outcomes = [f"{count} x {what}" for what, count in one["abuse"]["outcomes"].items()]
                memory = {"before": found["before"], "after": found["after"]}
                yield {"kind": kind, "server": server, "round": number, **phases,
                       "meanwhile": one["meanwhile"], "opened": one["abuse"]["opened"],
                       "sent_bytes": one["abuse"]["sent_bytes"], "outcomes": outcomes,
                       **(memory if server == "innkeeper" else {})}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", default="", help="kinds in whose name this stands")
    parser.add_argument("--nginx", action="store_true", help="nginx beside it")
    parser.add_argument("--quick", action="store_true", help="16 connections, one round of two seconds")
    parser.add_argument("--out", type=Path)
    settings = parser.parse_args()
    if settings.quick:
        settings.seconds, settings.rounds, settings.connections = 2, 1, 16
    kinds = {kind.name: kind for kind in KINDS if settings.only in kind.name}
    if not kinds:
        sys.exit(f"no kind of abuse has {settings.only!r} in its name")
    if settings.nginx and not nginx.find():
        sys.exit("nginx is not installed; for example `apt-get install nginx-light`")
    print(HEAD, flush=True)
    results = try_all(settings, kinds, try_kind, described)
    if settings.out:
        raw.write(settings.out, rows(results))
    bad = [name for name, found in results.items()
           if found["failures"] or found["growth_mib"] > MOST_GROWTH_MIB]
    if bad:
        sys.exit(f"honest requests failed, or memory grew too much: {', '.join(bad)}")


if __name__ == "__main__":
    main()
