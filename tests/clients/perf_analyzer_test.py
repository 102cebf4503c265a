#!/usr/bin/env python3
"""perf_analyzer_test.py PENSTOCK FAKE_NVML_FOLDER: Triton's perf_analyzer sweeps the concurrency against a pool, and
collects an expert service's metrics of GPUs.

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
FAKE_NVML = sys.argv.pop(1)
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build" / "perf_analyzer"
WHEEL = "tritonclient==2.45.0"
MEMBER = "tritonclient-2.45.0.data/data/bin/perf_analyzer"
CONCURRENCY = [1, 2, 3, 4]
# As in tests/support/fake_nvml.h.
GPUS = {f"GPU-00000000-0000-0000-0000-00000000000{letter}": values for letter, values in {
    "a": {"Avg GPU Utilization": 0.37, "Avg GPU Power Usage": 250.5, "Max GPU Memory Usage": 20e9,
          "Total GPU Memory": 80e9},
    "b": {"Avg GPU Utilization": 0.61, "Avg GPU Power Usage": 125.25, "Max GPU Memory Usage": 30e9,
          "Total GPU Memory": 40e9}}.items()}
EXPERT = """
server: {{grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {{grace: 0.1s}}}}
model_repository: {repository}
trust_plaintext: true
metering: {{source: NVML}}
"""
SHAPES = ["--shape", "floats:4,2", "--shape", "ids:3", "--shape", "texts:2", "--string-length", "8"]
# Stability is of no interest here, only that each step ends: 1 s windows, any spread, 3 of them.
BRIEFLY = ["--measurement-interval", "1000", "--stability-percentage", "999", "--max-trials", "6"]
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


def analyze(analyzer, environment, report, *arguments):
    """Rows of the report, by perf_analyzer's own column names; and what it printed."""
    done = subprocess.run([str(analyzer), "-i", "grpc", *SHAPES, *BRIEFLY, "-f", str(report), "--verbose-csv",
                           *arguments], capture_output=True, text=True, timeout=300, check=False, env=environment)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    with open(report, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), output


class PerfAnalyzerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.analyzer = fetch_perf_analyzer()
        cls.environment = dict(os.environ, LD_LIBRARY_PATH=library_path())
        cls.repository = echo_platform.write_repository()
        cls.report = pathlib.Path(cls.repository.name) / "report.csv"
        cls.service = Service([BINARY, "serve"], echo_platform.config(cls.repository.name))

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.text()
        cls.service.__exit__()
        cls.repository.cleanup()

    def test_metrics_of_gpus_are_read_from_the_expert_service(self):
        expert = str(pathlib.Path(BINARY).with_name("penstock-expert"))
        with Service([expert], EXPERT.format(repository=self.repository.name),
                     environment={"LD_LIBRARY_PATH": FAKE_NVML}) as service:
            rows, output = analyze(self.analyzer, self.environment, self.report, "-m", "echo", "-u", service.grpc,
                                   "--concurrency-range", "1", "--collect-metrics",
                                   "--metrics-url", f"{service.metrics}/metrics", "--metrics-interval", "200")
        self.assertNotIn("Unable to parse", output)
        self.assertEqual(len(rows), 1, output)
        for column in ("Avg GPU Utilization", "Avg GPU Power Usage", "Max GPU Memory Usage", "Total GPU Memory"):
            told = dict(entry.rsplit(":", 1) for entry in rows[0][column].split(";") if entry)
            self.assertEqual(told.keys(), GPUS.keys(), rows[0])
            for gpu, value in told.items():
                wanted = GPUS[gpu][column]
                self.assertAlmostEqual(float(value), wanted, delta=wanted / 1000, msg=column)

    def test_sweep_reports_throughput_and_the_servers_statistics(self):
        rows, output = analyze(self.analyzer, self.environment, self.report, "-m", "echo_pool", "-u",
                               self.service.grpc, "--concurrency-range", f"{CONCURRENCY[0]}:{CONCURRENCY[-1]}")
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
