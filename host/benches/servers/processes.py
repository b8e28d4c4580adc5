"""What a server's processes use: CPU time and memory, from /proc.

A server is the process that was started and all its descendants; threads are part of
their process. Both are sums over these.
"""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Places in /proc/PID/stat after the command's name, which may hold spaces.
PARENT = 1
UTIME = 11
CUTIME = 13
CSTIME = 14


def stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on, or None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat(int(name))):
            children.setdefault(int(fields[PARENT]), []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """CPU time so far, user and system, with that of children that ended meanwhile."""
    ticks = 0
    for pid in tree(root):
        if fields := stat(pid):
            # utime, stime, cutime, cstime.
            ticks += sum(int(field) for field in fields[UTIME : CSTIME + 1])
    return ticks / TICKS_PER_SECOND


def user_seconds(root: int) -> float:
    """As cpu_seconds, without what the system does for them."""
    ticks = 0
    for pid in tree(root):
        if fields := stat(pid):
            ticks += int(fields[UTIME]) + int(fields[CUTIME])
    return ticks / TICKS_PER_SECOND


def machine_user_seconds() -> float:
    """What all processes had as such time so far, and what a hypervisor took away."""
    user, nice, _, _, _, _, _, steal = Path("/proc/stat").read_text().split()[1:9]
    return (int(user) + int(nice) + int(steal)) / TICKS_PER_SECOND


def memory_kib(root: int, field: str) -> int:
    """The sum of a field of /proc/PID/status: VmRSS (now) or VmHWM (at its highest).

    Pages that processes share count for each of them.
    """
    return sum_kib(root, "status", field)


def proportional_kib(root: int) -> int:
    """Resident memory, of which a page that n processes share counts for a n-th (PSS)."""
    return sum_kib(root, "smaps_rollup", "Pss")


def sum_kib(root: int, file: str, field: str) -> int:
    """The sum of a field of a file beneath /proc/PID."""
    total = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/{file}").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in text.splitlines():
            if line.startswith(field + ":"):
                total += int(line.split()[1])
    return total
