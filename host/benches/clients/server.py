"""What a server holds: memory, descriptors and threads, from /proc."""

import os
import re
import time
from pathlib import Path


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def held(pid):
    """What it holds now, and the most memory that it ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    number = lambda name: int(re.search(rf"{name}:\s+(\d+)", status)[1])
    return {
        "rss_kib": number("VmRSS"), "most_rss_kib": number("VmHWM"),
        "threads": number("Threads"), "descriptors": descriptors(pid),
    }


def wait_for_descriptors(pid, wanted, seconds):
    """Waits until it holds no more than that; how many seconds it took, or None."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        if descriptors(pid) <= wanted:
            return round(time.monotonic() - began, 2)
        time.sleep(0.02)
    return None


def tcp_memory_kib():
    """What the kernel holds for all TCP connections of this machine."""
    text = Path("/proc/net/sockstat").read_text()
    return int(re.search(r"TCP:.* mem (\d+)", text)[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
