#!/usr/bin/env python3
"""tritonclient_test.py PENSTOCK: what an unmodified tritonclient does with a pool."""

import queue
import sys
import unittest

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

import echo_platform
from platform_process import Service

BINARY = sys.argv.pop(1)
FLOATS = np.array([[1.5, -2.0], [0.0, 3.25]], dtype=np.float32)
IDS = np.array([1, -(2**60)], dtype=np.int64)
TEXTS = np.array([b"", "größer".encode()], dtype=object)


def inputs():
    tensors = []
    for name, values, datatype in (("floats", FLOATS, "FP32"), ("ids", IDS, "INT64"), ("texts", TEXTS, "BYTES")):
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        tensors.append(tensor)
    return tensors


class TritonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.repository = echo_platform.write_repository()
        cls.service = Service([BINARY, "serve"], echo_platform.config(cls.repository.name))
        cls.client = triton.InferenceServerClient(cls.service.grpc)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        assert cls.service.stop() == 0, cls.service.text()
        cls.service.__exit__()
        cls.repository.cleanup()

    def check_echo(self, result):
        np.testing.assert_array_equal(result.as_numpy("floats"), FLOATS)
        np.testing.assert_array_equal(result.as_numpy("ids"), IDS)
        self.assertEqual(list(result.as_numpy("texts")), list(TEXTS))

    def test_server_is_live_and_ready(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("echo_pool"))
        self.assertFalse(self.client.is_model_ready("nothing"))

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertEqual(server.name, "penstock")
        self.assertIn("statistics", server.extensions)
        model = self.client.get_model_metadata("echo_pool")
        self.assertEqual([t.name for t in model.inputs], ["floats", "ids", "texts"])
        self.assertEqual([t.datatype for t in model.outputs], ["FP32", "INT64", "BYTES"])
        self.assertEqual(list(model.inputs[0].shape), [-1, 2])

    def test_model_config_and_repository_index(self):
        self.assertEqual(self.client.get_model_config("echo_pool").config.name, "echo_pool")
        index = self.client.get_model_repository_index()
        self.assertEqual([(m.name, m.state) for m in index.models], [("echo_pool", "READY")])

    def test_infer_raw(self):
        result = self.client.infer("echo_pool", inputs(), request_id="seven")
        self.check_echo(result)
        response = result.get_response()
        self.assertEqual(response.id, "seven")
        self.assertEqual(response.model_name, "echo_pool")
        self.assertEqual(response.parameters["penstock_experts"].string_param, "echo")
        self.assertEqual(response.parameters["penstock_energy_method"].string_param, "modelled")
        self.assertGreater(response.parameters["penstock_energy_j"].double_param, 0)

    def test_infer_typed_contents(self):
        from tritonclient.grpc import service_pb2, service_pb2_grpc
        import grpc

        request = service_pb2.ModelInferRequest(model_name="echo_pool")
        for name, shape, datatype, field, values in (
            ("floats", FLOATS.shape, "FP32", "fp32_contents", FLOATS.ravel()),
            ("ids", IDS.shape, "INT64", "int64_contents", IDS),
            ("texts", TEXTS.shape, "BYTES", "bytes_contents", TEXTS),
        ):
            tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
            getattr(tensor.contents, field).extend(values.tolist())
        with grpc.insecure_channel(self.service.grpc) as channel:
            response = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=10)
        self.check_echo(triton.InferResult(response))

    def test_requested_outputs_only(self):
        result = self.client.infer("echo_pool", inputs(), outputs=[triton.InferRequestedOutput("ids")])
        np.testing.assert_array_equal(result.as_numpy("ids"), IDS)
        self.assertIsNone(result.as_numpy("floats"))

    def test_async_infer(self):
        answers = queue.Queue()
        for _ in range(20):
            self.client.async_infer("echo_pool", inputs(), lambda result, error: answers.put((result, error)))
        for _ in range(20):
            result, error = answers.get(timeout=30)
            self.assertIsNone(error)
            self.check_echo(result)

    def test_streaming(self):
        answers = queue.Queue()
        with triton.InferenceServerClient(self.service.grpc) as client:
            client.start_stream(lambda result, error: answers.put((result, error)))
            for i in range(10):
                client.async_stream_infer("echo_pool", inputs(), request_id=str(i))
            seen = set()
            for _ in range(10):
                result, error = answers.get(timeout=30)
                self.assertIsNone(error)
                self.check_echo(result)
                seen.add(result.get_response().id)
            self.assertEqual(seen, {str(i) for i in range(10)})
            client.async_stream_infer("nothing", inputs(), request_id="bad")
            result, error = answers.get(timeout=30)
            self.assertIn("NOT_FOUND", str(error))
            client.stop_stream()

    def test_statistics_count_what_was_asked(self):
        def count():
            stats = self.client.get_inference_statistics("echo_pool").model_stats
            self.assertEqual(len(stats), 1)
            return stats[0].inference_stats.success.count

        before = count()
        for _ in range(3):
            self.client.infer("echo_pool", inputs())
        self.assertEqual(count(), before + 3)

    def test_errors_name_what_is_wrong(self):
        with self.assertRaisesRegex(InferenceServerException, "nothing"):
            self.client.infer("nothing", inputs())
        with self.assertRaisesRegex(InferenceServerException, "texts"):
            self.client.infer("echo_pool", inputs()[:2])
        with self.assertRaisesRegex(InferenceServerException, "penstock_latency_bugdet_ms"):
            self.client.infer("echo_pool", inputs(), parameters={"penstock_latency_bugdet_ms": 5})


if __name__ == "__main__":
    unittest.main(verbosity=2)
