"""What a process holds, by /proc."""

import dataclasses
import os


@dataclasses.dataclass
class Usage:
    resident_bytes: int  # private and shared, as VmRSS
    anonymous_bytes: int  # RssAnon: without files that are mapped
    descriptors: int
    threads: int
    cpu_seconds: float  # user and system, since it started


def usage_of(pid):
    """ProcessLookupError where there is no such process."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            stat = file.read().rpartition(")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    if "VmRSS" not in status:
        raise ProcessLookupError(pid)  # it ended; nobody has waited for it
    kilobytes = {key: int(status[key].split()[0]) for key in ("VmRSS", "RssAnon")}
    ticks = os.sysconf("SC_CLK_TCK")
    return Usage(resident_bytes=kilobytes["VmRSS"] * 1024,
                 anonymous_bytes=kilobytes["RssAnon"] * 1024, descriptors=descriptors,
                 threads=int(status["Threads"]), cpu_seconds=(int(stat[11]) + int(stat[12])) / ticks)
