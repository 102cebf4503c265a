"""What every bench's JSON says of the machine it ran on."""

import datetime
import json
import os
import platform
import sys


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def machine():
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory_kib = int(file.readline().split()[1])
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "load_average": round(os.getloadavg()[0], 1),
        "gpu": None,
    }


def write_report(path, rows, **more):
    """`rows` are flat objects with the units in the names of their fields."""
    report = {
        "machine": machine(),
        "command": " ".join(sys.argv),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        **more,
        "rows": rows,
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")


def print_table(rows, columns):
    def text(value):
        return f"{value:.1f}" if isinstance(value, float) else str(value)

    cells = [columns] + [[text(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))
