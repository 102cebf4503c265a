"""What a process holds, by /proc."""

import collections
import dataclasses
import math
import os
import pathlib


@dataclasses.dataclass
class Usage:
    resident_bytes: int  # private and shared, as VmRSS
    anonymous_bytes: int  # RssAnon: without files that are mapped
    descriptors: int
    threads: int
    threads_by_name: dict  # how many of each
    cpu_seconds: float  # user and system, since it started


def usage_of(pid):
    """ProcessLookupError where there is no such process."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            stat = file.read().rpartition(")")[2].split()
        names = _thread_names(pid)
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    if "VmRSS" not in status:
        raise ProcessLookupError(pid)  # it ended; nobody has waited for it
    kilobytes = {key: int(status[key].split()[0]) for key in ("VmRSS", "RssAnon")}
    ticks = os.sysconf("SC_CLK_TCK")
    return Usage(resident_bytes=kilobytes["VmRSS"] * 1024,
                 anonymous_bytes=kilobytes["RssAnon"] * 1024, descriptors=descriptors,
                 threads=int(status["Threads"]), threads_by_name=names,
                 cpu_seconds=(int(stat[11]) + int(stat[12])) / ticks)


def _thread_names(pid):
    names = collections.Counter()
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            names[pathlib.Path(f"/proc/{pid}/task/{thread}/comm").read_text(encoding="utf-8").strip()] += 1
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile
    return dict(names)


def cpus():
    """How many CPUs' worth of time this process and its children may take: by its affinity, and by the
    quotas of its cgroup and those above it. Not a whole number where a quota is none."""
    return min(len(os.sched_getaffinity(0)), _quota(pathlib.Path("/")))


def _quota(root):
    least = math.inf
    for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            mounts = ("", "unified")
        elif "cpu" in controllers.split(","):
            mounts = ("cpu", controllers)
        else:
            continue
        for mount in mounts:
            folder = root / "sys/fs/cgroup" / mount
            # Within a container the mount is its own group, and the name that of the outside.
            for name in ["", *(part for part in group.split("/") if part)]:
                folder = folder / name
                least = min(least, _quota_of(folder))
    return least


def _quota_of(folder):
    """Of one group, of either version; infinite where it has none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = ((folder / f"cpu.cfs_{what}_us").read_text(encoding="utf-8").strip()
                             for what in ("quota", "period"))
    except OSError:
        return math.inf
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)
