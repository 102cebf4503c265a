#!/usr/bin/env python3
"""otlp_test.py PENSTOCK: what OpenTelemetry's own message classes read of the spans of `penstock serve`."""

import concurrent.futures
import struct
import sys
import threading
import time
import unittest

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

import echo_platform
from platform_process import Service

BINARY = sys.argv.pop(1)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PATIENCE_S = 30
# Gateway and router have two spans each, the expert its own and at least its run.
SPANS = 6


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps (service, span), and how many bytes of what came the published messages do not know."""

    def __init__(self):
        self.spans = []
        self.unknown_bytes = 0
        self.changed = threading.Condition()

    def Export(self, request, context):
        size = request.ByteSize()
        request.DiscardUnknownFields()
        with self.changed:
            self.unknown_bytes += size - request.ByteSize()
            for resource in request.resource_spans:
                service = next(each.value.string_value for each in resource.resource.attributes
                               if each.key == "service.name")
                self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
            self.changed.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def of_trace(self, trace, at_least):
        until = time.monotonic() + PATIENCE_S
        with self.changed:
            while True:
                found = [each for each in self.spans if each[1].trace_id.hex() == trace]
                if len(found) >= at_least or not self.changed.wait(max(0, until - time.monotonic())):
                    return found


def field(number, payload):
    """A field of bytes, shorter than 128."""
    return bytes([number << 3 | 2, len(payload)]) + payload


def echo_request(pool):
    """A ModelInferRequest of one row, in bytes: the messages of OIP are not OpenTelemetry's."""
    tensors = ((b"floats", b"FP32", bytes([1, 2]), struct.pack("<2f", 1, 2)),
               (b"ids", b"INT64", bytes([1]), struct.pack("<q", 7)),
               (b"texts", b"BYTES", bytes([1]), struct.pack("<I", 2) + b"hi"))
    return (field(1, pool) + b"".join(field(5, field(1, name) + field(2, kind) + field(3, shape))
                                      for name, kind, shape, _ in tensors)
            + b"".join(field(7, raw) for *_, raw in tensors))


class OtlpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.collector = Collector()
        cls.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(cls.collector, cls.server)
        port = cls.server.add_insecure_port("127.0.0.1:0")
        cls.server.start()
        cls.repository = echo_platform.write_repository()
        drain = "drain: {grace: 0.1s}"
        config = echo_platform.config(cls.repository.name)
        assert config.count(drain) == 3, config
        tracing = (f'tracing: {{collector: {{address: "127.0.0.1:{port}"}}, sample_share: 0, '
                   "max_delay: 0.01s}")
        cls.service = Service([BINARY, "serve"], config.replace(drain, f"{drain}, {tracing}"))
        cls.channel = grpc.insecure_channel(cls.service.grpc)
        cls.infer = cls.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert cls.service.stop() == 0, cls.service.text()
        cls.service.__exit__()
        cls.repository.cleanup()
        cls.server.stop(0)

    def ask(self, pool, traceparent):
        return self.infer(echo_request(pool), timeout=PATIENCE_S, wait_for_ready=True,
                          metadata=(("traceparent", traceparent),))

    def test_a_trace_of_three_services(self):
        self.ask(b"echo_pool", f"00-{TRACE}-{CALLER}-01")
        found = self.collector.of_trace(TRACE, SPANS)
        self.assertGreaterEqual(len(found), SPANS)
        spans = {span.span_id: (service, span) for service, span in found}
        way = []
        for service, span in spans.values():
            self.assertEqual((len(span.trace_id), len(span.span_id)), (16, 8))
            self.assertEqual(span.flags & 1, 1)
            self.assertLessEqual(span.start_time_unix_nano, span.end_time_unix_nano)
            self.assertEqual(span.status.code, trace_pb2.Status.STATUS_CODE_UNSET)
            above = spans.get(span.parent_span_id)
            if above is None:
                self.assertEqual(span.parent_span_id.hex(), CALLER)
            way.append((service, trace_pb2.Span.SpanKind.Name(span.kind),
                        above[0] if above else "the caller"))
        for step in (("penstock-gateway", "SPAN_KIND_SERVER", "the caller"),
                     ("penstock-gateway", "SPAN_KIND_CLIENT", "penstock-gateway"),
                     ("penstock-router", "SPAN_KIND_SERVER", "penstock-gateway"),
                     ("penstock-router", "SPAN_KIND_CLIENT", "penstock-router"),
                     ("penstock-expert", "SPAN_KIND_SERVER", "penstock-router"),
                     ("penstock-expert", "SPAN_KIND_INTERNAL", "penstock-expert")):
            self.assertIn(step, way)
        decisions = {each.value.string_value for _, span in spans.values() for each in span.attributes
                     if each.key == "penstock.decision_id"}
        self.assertEqual(len(decisions), 1, decisions)

    def test_a_refusal_is_an_error(self):
        trace = TRACE[::-1]
        with self.assertRaises(grpc.RpcError):
            self.ask(b"nothing", f"00-{trace}-{CALLER}-01")
        found = self.collector.of_trace(trace, 3)
        self.assertEqual(len(found), 3)
        for service, span in found:
            self.assertEqual(span.status.code, trace_pb2.Status.STATUS_CODE_ERROR, service)
            codes = [each.value.int_value for each in span.attributes
                     if each.key == "rpc.grpc.status_code"]
            self.assertEqual(codes, [grpc.StatusCode.NOT_FOUND.value[0]], service)

    def test_what_is_sent_is_what_was_published(self):
        trace = TRACE.replace("4", "5")
        self.ask(b"echo_pool", f"00-{trace}-{CALLER}-01")
        self.assertGreaterEqual(len(self.collector.of_trace(trace, SPANS)), SPANS)
        self.assertEqual(self.collector.unknown_bytes, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
