"""Profiles the digits example and prints the share of each room: see run.sh."""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from machine import print_table, write_report  # noqa: E402

# Where a symbol stands, by how it begins; the first that fits.
ROOMS = [
    ("kernels", r"\[\.\] penstock::kernels::"),
    ("expert service", r"\[\.\] penstock::expert::"),
    ("router service", r"\[\.\] penstock::router::"),
    ("gateway and common", r"\[\.\] penstock::"),
    ("Linux: network, scheduling, memory", r"\[k\]"),
    ("gRPC, Abseil, allocation, C library", r"\[\.\]"),
]
LINE = re.compile(r"^\s*([0-9.]+)%\s+(\[[.k]\] .*?)\s*(?:-\s+-\s*)?$")


def room_of(symbol):
    return next((room for room, pattern in ROOMS if re.match(pattern, symbol)), "others")


def serve_profiled(bin_dir, folder):
    """Serves and evaluates; leaves folder/perf.data."""
    ready = folder / "ready"
    with open(folder / "log", "w", encoding="utf-8") as log:
        perf = subprocess.Popen(["perf", "record", "-q", "-F", "997", "-e", "cpu-clock", "-o", folder / "perf.data",
                                 bin_dir / "penstock", "serve", "--config", "examples/digits/platform.yaml",
                                 "--ready_file", ready], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (ready.exists() and ready.stat().st_size):
            if perf.poll() is not None or time.monotonic() > deadline:
                sys.exit("error: the platform is not ready:\n" + (folder / "log").read_text()[-2000:])
            time.sleep(0.05)
        subprocess.run([bin_dir / "penstock", "evaluate", "--pool", "digits", "--dimension", "784",
                        "--inputs", "build/digits/heldout.images.f32", "--labels", "build/digits/heldout.labels.u8",
                        "--gateway_metrics", "127.0.0.1:8002", "--expert_metrics", "127.0.0.1:8202"],
                       stdout=subprocess.DEVNULL, check=True)
    finally:
        # perf hands SIGINT on to nobody: the server is told, and perf ends with it.
        subprocess.run(["pkill", "-TERM", "-P", str(perf.pid)], check=False)
        perf.wait(timeout=60)


def symbols_of(data):
    report = subprocess.run(["perf", "report", "-i", data, "--no-children", "-F", "overhead,symbol", "--stdio"],
                            capture_output=True, text=True, check=True).stdout
    matches = (LINE.match(line) for line in report.splitlines() if not line.startswith("#"))
    return [(float(match[1]), match[2]) for match in matches if match]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--symbols", type=int, default=12, help="symbols of the kernels to name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        serve_profiled(options.bin, pathlib.Path(folder))
        symbols = symbols_of(pathlib.Path(folder) / "perf.data")
    if not symbols:
        sys.exit("error: perf took no samples")
    shares = {}
    for share, symbol in symbols:
        shares[room_of(symbol)] = shares.get(room_of(symbol), 0) + share
    rooms = [{"room": room, "share": f"{share:.1f} %"}
             for room, share in sorted(shares.items(), key=lambda item: -item[1])]
    print_table(rooms, ["room", "share"])
    print()
    kernels = [{"symbol": re.sub(r"^\[\.\] |penstock::kernels::|\(anonymous namespace\)::", "", symbol),
                "share": f"{share:.2f} %"} for share, symbol in symbols if room_of(symbol) == "kernels"]
    print_table(kernels[:options.symbols], ["symbol", "share"])
    if options.json:
        write_report(options.json, rooms, kernels=kernels)


if __name__ == "__main__":
    main()
