#!/usr/bin/env python3
"""perf_analyzer_test.py PENSTOCK: Triton's perf_analyzer sweeps the concurrency against a pool.

Its binary is inside the wheel tritonclient==2.45.0 (the package perf-analyzer needs a newer glibc); it wants
Debian's libb64-0d and libcudart.so.12, which the virtual environment's nvidia-cuda-runtime-cu12 has.
"""

import csv
import ctypes
import os
import pathlib
import subprocess
import sys
import unittest
import zipfile

import echo_platform
from platform_process import Service

BINARY = sys.argv.pop(1)
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build" / "perf_analyzer"
WHEEL = "tritonclient==2.45.0"
MEMBER = "tritonclient-2.45.0.data/data/bin/perf_analyzer"
CONCURRENCY = [1, 2, 3, 4]
MISSING = 77  # ctest: skipped


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(1 if os.environ.get("CI") == "true" else MISSING)


def fetch_perf_analyzer():
    binary = FOLDER / "perf_analyzer"
    if binary.exists():
        return binary
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                           "--no-deps", "--only-binary", ":all:", "--dest", str(FOLDER), WHEEL], check=False)
    if done.returncode != 0:
        skip(f"cannot download {WHEEL}")
    with zipfile.ZipFile(next(FOLDER.glob("tritonclient-2.45.0-*.whl"))) as wheel:
        partial = FOLDER / "perf_analyzer.partial"
        partial.write_bytes(wheel.read(MEMBER))
    partial.chmod(0o755)
    partial.rename(binary)
    return binary


def library_path():
    try:
        ctypes.CDLL("libb64.so.0d")
    except OSError as error:
        skip(f"Debian's libb64-0d: {error}")
    found = list(pathlib.Path(sys.prefix).glob("lib/python3*/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12"))
    if not found:
        skip("libcudart.so.12 is not in the virtual environment")
    return str(found[0].parent)


class PerfAnalyzerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.analyzer = fetch_perf_analyzer()
        cls.environment = dict(os.environ, LD_LIBRARY_PATH=library_path())
        cls.repository = echo_platform.write_repository()
        cls.service = Service([BINARY, "serve"], echo_platform.config(cls.repository.name))

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.text()
        cls.service.__exit__()
        cls.repository.cleanup()

    def sweep(self):
        """One row a concurrency, by perf_analyzer's own column names; and what it printed."""
        report = pathlib.Path(self.repository.name) / "report.csv"
        # Stability is of no interest here, only that each step ends: 1 s windows, any spread, 3 of them.
        command = [str(self.analyzer), "-m", "echo_pool", "-u", self.service.grpc, "-i", "grpc",
                   "--shape", "floats:4,2", "--shape", "ids:3", "--shape", "texts:2", "--string-length", "8",
                   "--concurrency-range", f"{CONCURRENCY[0]}:{CONCURRENCY[-1]}",
                   "--measurement-interval", "1000", "--stability-percentage", "999", "--max-trials", "6",
                   "-f", str(report), "--verbose-csv"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                              env=self.environment)
        output = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, output)
        with open(report, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file)), output

    def test_sweep_reports_throughput_and_the_servers_statistics(self):
        rows, output = self.sweep()
        self.assertEqual(sorted(int(row["Concurrency"]) for row in rows), CONCURRENCY, output)
        for row in rows:
            self.assertGreater(float(row["Inferences/Second"]), 0, row)
            # Of ModelStatistics: the pool's queue and compute times, in microseconds.
            for column in ("Server Queue", "Server Compute Input", "Server Compute Infer", "Server Compute Output"):
                self.assertGreaterEqual(float(row[column]), 0, row)
            self.assertGreater(float(row["Server Compute Infer"]), 0, row)
            # What the server says it took lies within what the client saw.
            self.assertLess(float(row["Server Queue"]) + float(row["Server Compute Infer"]),
                            float(row["Avg latency"]), row)
        self.assertEqual(output.count("Avg request latency"), len(CONCURRENCY), output)


if __name__ == "__main__":
    unittest.main()
