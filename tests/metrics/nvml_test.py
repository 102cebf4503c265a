"""nvml_test.py BIN_FOLDER FAKE_NVML_FOLDER: what NVML tells reaches scrapes and answers.

An expert service over the two GPUs of tests/support/fake_nvml.cc: every series of a GPU is at the
metrics port with the fake's value, the energy counters run with its power, and a request's answer
says that its joules are by counter.
"""

import json
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet, scrape, tiny_input, write_tiny_model  # noqa: E402

FAKE = pathlib.Path(sys.argv.pop()).resolve()
BINARIES = sys.argv.pop()
A, B = (f"GPU-00000000-0000-0000-0000-00000000000{letter}" for letter in "ab")
# As in tests/support/fake_nvml.h; the second GPU keeps no limit.
TOLD = {
    "nv_gpu_utilization": {A: 0.37, B: 0.61},
    "nv_gpu_memory_total_bytes": {A: 80e9, B: 40e9},
    "nv_gpu_memory_used_bytes": {A: 20e9, B: 30e9},
    "nv_gpu_power_usage": {A: 250.5, B: 125.25},
    "nv_gpu_power_limit": {A: 700},
}
WATTS = 250.5 + 125.25
PATIENCE_S = 30


class NvmlTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        assert (FAKE / "libnvidia-ml.so.1").exists(), FAKE
        cls.fleet = Fleet(BINARIES)
        cls.addClassCleanup(cls.fleet.close)
        repository = cls.fleet.folder / "models"
        write_tiny_model(repository, "tiny")
        cls.began = time.monotonic()
        cls.expert = cls.fleet.expert(
            {"model_repository": str(repository), "trust_plaintext": True,
             "metering": {"source": "NVML", "idle_watts": 0}},
            environment={"LD_LIBRARY_PATH": str(FAKE)})
        cls.router = cls.fleet.router({"trust_plaintext": True, "pools": [
            {"name": "pool", "experts": [{"name": "tiny", "replicas": [
                {"address": cls.expert.grpc}]}]}]})

    def wait(self, is_so, what):
        """The first scrape of which it is so."""
        until = time.monotonic() + PATIENCE_S
        while not is_so(samples := scrape(self.expert.metrics)):
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.05)
        return samples

    def ask(self):
        answer = subprocess.run(
            [pathlib.Path(BINARIES) / "penstock", "infer", "--json", "--target", self.router.grpc,
             "--pool", "pool", "--input", tiny_input(self.fleet.folder / "row.f32")],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return json.loads(answer.stdout)["parameters"]

    def test_every_series_of_a_gpu_has_what_nvml_tells(self):
        samples = scrape(self.expert.metrics)
        for name, values in TOLD.items():
            told = {labels["gpu_uuid"]: value for labels, value in samples.each(name)}
            self.assertEqual(told, values, name)

    def test_energy_is_counted_from_the_services_start(self):
        grown = self.wait(lambda samples: samples.max("nv_energy_consumption", gpu_uuid=A) > 500,
                          "500 J of 250.5 W")
        most = (time.monotonic() - self.began) * 250.5
        self.assertEqual(grown.families["nv_energy_consumption"][0], "counter")
        # The fake's counters begin at 5,000 J.
        self.assertLess(grown.max("nv_energy_consumption", gpu_uuid=A), most)
        self.assertAlmostEqual(grown.max("nv_energy_consumption", gpu_uuid=B),
                               grown.max("nv_energy_consumption", gpu_uuid=A) / 2, delta=1)

    def test_joules_by_counter_flow_into_answers(self):
        samples = self.wait(lambda samples: samples.sum("penstock_expert_meter_joules_total") > 400,
                            "400 J in closed windows")
        self.assertEqual(samples.sum("penstock_expert_energy_counted"), 1)
        self.assertAlmostEqual(samples.sum("penstock_expert_watts"), WATTS, delta=WATTS / 10)
        self.assertLess(samples.sum("penstock_expert_meter_joules_total"),
                        (time.monotonic() - self.began) * WATTS)
        parameters = self.ask()
        self.assertEqual(parameters["penstock_energy_method"], "counter")
        self.assertGreater(parameters["penstock_energy_j"], 0)

    def test_the_gauges_of_the_model_server_protocol_have_the_names_of_the_configuration(self):
        config = dict(self.expert.config, model_server_gauges={
            "waiting": "vllm:num_requests_waiting", "running": "tgi_batch_current_size"})
        del config["server"]
        other = self.fleet.expert(config, environment={"LD_LIBRARY_PATH": str(FAKE)})
        samples = scrape(other.metrics)
        self.assertEqual(samples.each("vllm:num_requests_waiting"), [({}, 0)])
        self.assertEqual(samples.each("tgi_batch_current_size"), [({}, 0)])
        self.assertEqual(samples.each("penstock:num_requests_waiting"), [])


if __name__ == "__main__":
    unittest.main()
