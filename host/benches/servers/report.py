#!/usr/bin/env python3
"""What comes of the runs: the raw results as CSV, and tables and a chart of them.

    host/benches/servers/report.py FILE.csv [--chart FILE.svg]
"""

import argparse
import datetime
import os
import platform
import sys
from pathlib import Path
from statistics import median

# Nothing but results is left in this folder.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cases
import chart
import raw

# What the other servers are compared with.
SUBJECT = "innkeeper"

# Metrics that are compared: field, title, and whether more is better.
COMPARED = [
    ("requests_per_second", "requests a second", True),
    ("cpu_us_per_request", "CPU time for a request", False),
    ("p99_us", "p99 latency", False),
    ("peak_memory_kib", "peak memory", False),
    ("kib_per_connection", "memory of a connection that is held", False),
]


DESCRIPTIONS = {case.name: case.description for case in cases.CASES}


def about() -> dict:
    """The machine, without its name."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()}-core-{platform.machine()}",
        "processor": model,
        "memory_gib": round(memory / (1 << 30)),
        # Without the mark of whoever built it.
        "linux": platform.release().partition("-")[0],
    }


def write(results: dict, path: Path) -> None:
    """Writes a row for each run."""
    about = results["about"]
    machine = (
        f"{about['machine']}, {about['processor']}, {about['memory_gib']} GiB, "
        f"Linux {about['linux']}"
    )
    raw.write(
        path,
        (
            {
                "date": about["date"],
                "machine": machine,
                "case": run["case"],
                "server": run["server"],
                "version": results["versions"][run["server"]],
            }
            | run
            for run in results["runs"]
        ),
    )


def read(path: Path) -> dict:
    """Results as they were before they were written."""
    runs = [{"problems": ""} | row for row in raw.read(path)]
    return {
        "about": {"date": runs[0]["date"], "machine": runs[0]["machine"]},
        "versions": {run["server"]: run["version"] for run in runs},
        "rounds": max(run["round"] for run in runs),
        "runs": runs,
    }


def unused(parent: Path, name: str) -> Path:
    """A file of that name, or numbered where there is one already."""
    path = parent / f"{name}.csv"
    number = 2
    while path.exists():
        path = parent / f"{name}-{number}.csv"
        number += 1
    return path


def summaries(results: dict) -> dict[str, dict[str, dict]]:
    """For each case and server: the median of each number, and the range of some."""
    grouped: dict[str, dict[str, list[dict]]] = {}
    for run in results["runs"]:
        grouped.setdefault(run["case"], {}).setdefault(run["server"], []).append(run)
    return {
        case: {server: summary(runs) for server, runs in servers.items()}
        for case, servers in grouped.items()
    }


def summary(runs: list[dict]) -> dict:
    numbers = [
        field
        for field, value in runs[0].items()
        # Latencies are missing where they say nothing.
        if isinstance(value, (int, float)) and field != "round"
    ]
    found = {field: median(run[field] for run in runs) for field in numbers}
    for field in ["requests_per_second", "cpu_us_per_request"]:
        found[f"{field}_range"] = [
            min(run[field] for run in runs),
            max(run[field] for run in runs),
        ]
    found["problems"] = sum(bool(run["problems"]) for run in runs)
    return found


def table(results: dict) -> str:
    """All medians, and how innkeeper compares."""
    machine = results["about"]
    lines = [
        f"{machine['date']}, {machine['machine']}; medians of {results['rounds']} runs",
    ]
    lines += [f"  {name:18}{version}" for name, version in results["versions"].items()]
    found = summaries(results)
    for case, servers in found.items():
        lines += ["", f"{case}: {DESCRIPTIONS.get(case, case)}", *case_table(servers)]
    others = [name for name in results["versions"] if name != SUBJECT]
    for field, title, more_is_better in COMPARED:
        lines += ratio_table(results, others, field, title, more_is_better)
    if any(one["problems"] for servers in found.values() for one in servers.values()):
        lines += ["", "! some runs are doubtful: see their problems in the file"]
    return "\n".join(lines)


def case_table(servers: dict[str, dict]) -> list[str]:
    held = any("kib_per_connection" in one for one in servers.values())
    lines = [
        f"  {'':18}{'requests/s':>12}{'(from–to)':>22}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'p99.9 ms':>10}{'CPU µs/req':>12}{'peak MiB':>10}"
        + (f"{'KiB/held':>10}" if held else "")
    ]
    for name, one in servers.items():
        least, most = one["requests_per_second_range"]
        line = (
            f"  {name:18}{count(one['requests_per_second']):>12}"
            f"{f'({count(least)}–{count(most)})':>22}"
            f"{milliseconds(one, 'p50_us'):>9}{milliseconds(one, 'p99_us'):>9}"
            f"{milliseconds(one, 'p999_us'):>10}{count(one['cpu_us_per_request']):>12}"
            f"{one['peak_memory_kib'] / 1024:>10.1f}"
        )
        if held:
            line += f"{one['kib_per_connection']:>10.2f}"
        lines.append(line + ("  !" if one["problems"] else ""))
    return lines


def ratio_table(
    results: dict,
    others: list[str],
    field: str,
    title: str,
    more_is_better: bool,
) -> list[str]:
    better = "more" if more_is_better else "less"
    lines = [
        "",
        f"{title}, {SUBJECT} / other ({better} is better for {SUBJECT})",
        f"  {'':14}" + "".join(f"{name:>{width(name)}}" for name in others),
    ]
    by_case: dict[str, list[dict]] = {}
    for run in results["runs"]:
        by_case.setdefault(run["case"], []).append(run)
    for case, runs in by_case.items():
        ratios = [paired(runs, name, field) for name in others]
        if any(ratios):
            told = [f"{ratio:.2f}" if ratio else "–" for ratio in ratios]
            columns = (f"{one:>{width(name)}}" for one, name in zip(told, others))
            lines.append(f"  {case:14}" + "".join(columns))
    return lines if len(lines) > 3 and others else []


def paired(runs: list[dict], other: str, field: str) -> float | None:
    """The median of the ratios within each round: what disturbs a round disturbs both alike."""
    rounds: dict[int, dict[str, float]] = {}
    for run in runs:
        if run.get(field):
            rounds.setdefault(run["round"], {})[run["server"]] = run[field]
    ratios = [one[SUBJECT] / one[other] for one in rounds.values() if {SUBJECT, other} <= one.keys()]
    return median(ratios) if ratios else None


def width(name: str) -> int:
    return max(10, len(name) + 2)


def milliseconds(one: dict, field: str) -> str:
    return f"{one[field] / 1000:.2f}" if field in one else "–"


def count(number: float) -> str:
    """A number with at least three digits, or with two after the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:,.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--chart", type=Path)
    arguments = parser.parse_args()
    results = read(arguments.file)
    print(table(results))
    if arguments.chart:
        arguments.chart.write_text(chart.draw(results, summaries(results), DESCRIPTIONS))


if __name__ == "__main__":
    main()
