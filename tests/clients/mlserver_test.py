#!/usr/bin/env python3
"""mlserver_test.py PENSTOCK: another project's server is an expert of a pool, unmodified."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import grpc
from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc

from platform_process import Service

BINARY = sys.argv.pop(1)

MODEL = '''
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Doubler(MLModel):
    async def predict(self, payload):
        values = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("y", values * 2)])
'''
SETTINGS = {
    "name": "doubler",
    "implementation": "model.Doubler",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}
POOL = """
gateway: {{page: {{http: "off"}}, server: {{grpc: "127.0.0.1:0", metrics: "off", drain: {{grace: 0.1s}}}}}}
router:
  server: {{grpc: "127.0.0.1:0", metrics: "off", drain: {{grace: 0.1s}}}}
  pools:
    - name: numbers
      experts:
        - {{name: doubler, replicas: [{{address: "{address}"}}], joules_per_row: 0.5, latency_ms: 5, quality: 0.9}}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class MlServer:
    """mlserver with one model of its own, on the loopback."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        http, self.port, metrics = free_ports(3)
        settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": self.port, "metrics_port": metrics,
                    "parallel_workers": 0, "metrics_endpoint": None}
        for name, text in (("model.py", MODEL), ("model-settings.json", json.dumps(SETTINGS)),
                           ("settings.json", json.dumps(settings))):
            with open(os.path.join(self.folder.name, name), "w", encoding="utf-8") as file:
                file.write(text)
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        command = [os.path.join(os.path.dirname(sys.executable), "mlserver"), "start", self.folder.name]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        until = time.monotonic() + 90
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
            while not self.ready(stub):
                if self.process.poll() is not None or time.monotonic() > until:
                    self.log.seek(0)
                    raise RuntimeError("mlserver did not start:\n" + self.log.read())
                time.sleep(0.1)

    @staticmethod
    def ready(stub):
        try:
            return stub.ModelReady(dataplane_pb2.ModelReadyRequest(name="doubler"), timeout=5).ready
        except grpc.RpcError:  # not listening yet
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()


class MlServerTest(unittest.TestCase):
    def test_answers_as_an_expert_and_its_joules_are_modelled(self):
        server = MlServer()
        self.addCleanup(server.stop)
        with Service([BINARY, "serve", "--roles", "gateway,router"],
                     POOL.format(address=f"127.0.0.1:{server.port}")) as penstock:
            output = subprocess.run(
                [BINARY, "infer", "--target", penstock.grpc, "--pool", "numbers", "--input", "x=[[1,2,3],[4,5,6]]",
                 "--json"], capture_output=True, text=True, timeout=60)
            self.assertEqual(output.returncode, 0, output.stderr)
            answer = json.loads(output.stdout)
            self.assertEqual(answer["outputs"]["y"], {"datatype": "FP32", "shape": [2, 3],
                                                      "values": [2, 4, 6, 8, 10, 12]})
            self.assertEqual(answer["parameters"]["penstock_experts"], "doubler")
            self.assertEqual(answer["parameters"]["penstock_energy_method"], "modelled")
            self.assertAlmostEqual(answer["parameters"]["penstock_energy_j"], 1.0, places=6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
