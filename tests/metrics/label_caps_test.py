"""label_caps_test.py BIN_FOLDER: 100,000 names that callers made up become no labels.

Every request names a pool, a model version, a class, an expert and an id of its own, and they come
from thousands of tenants; they go to a gateway, and some to a router and to an expert service that
trust their callers. Nearly all must come to where the name is looked for, and all be counted as of
the name `other`; after them the services have the series that they had after the first few. Of 150
pools that exist a gateway tells 100 by name, so one that told none at all would fail, too; and of
1,200 tenants whose requests were answered a router tells 1,000.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import sys
import threading
import time

import grpc
from tritonclient.grpc import service_pb2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet, scrape, usage_of, write_tiny_model  # noqa: E402

METHOD = "/inference.GRPCInferenceService/ModelInfer"
WINDOW = 256  # requests in flight
# As many as a file of keys has room for, about.
TENANTS = 8_000
POOLS, POOLS_TOLD = 150, 100
# Tenants that the gateway knows are told where they took joules.
ANSWERED_TENANTS, TENANTS_TOLD = 1_200, 1_000
OF_TENANTS = "penstock_router_tenant_joules_total"
# Codes and reasons that come with the first of a kind of request: a code has a counter and a
# histogram of 17 series.
MOST_MORE_SERIES = 100
# Of requests for what does not exist: all but what a machine that does much else may refuse or let
# go late. Those alone got as far as where names could become labels.
LEAST_NOT_FOUND = 0.99
SETTLE_S = 10
BAIT = "hostile"
# Each service's counter of requests by name and code, and its label of the name: what is not known
# is `other`.
COUNTERS = {"gateway": ("penstock_gateway_requests_total", "pool"),
            "router": ("penstock_router_requests_total", "pool"),
            "expert": ("penstock_expert_requests_total", "model")}


class Caller:
    """Sends requests to one service, many at once; codes of the answers."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.infer = self.channel.unary_unary(METHOD)
        self.room = threading.Semaphore(WINDOW)
        self.codes = collections.Counter()
        self.lock = threading.Lock()

    def send(self, request, metadata=()):
        self.room.acquire()
        future = self.infer.future(request.SerializeToString(), timeout=60, metadata=metadata)
        future.add_done_callback(self._ended)

    def _ended(self, future):
        with self.lock:
            self.codes[future.code().name] += 1
        self.room.release()

    def finish(self):
        for _ in range(WINDOW):
            assert self.room.acquire(timeout=120), "a request has no answer"
        for _ in range(WINDOW):
            self.room.release()
        codes, self.codes = dict(self.codes), collections.Counter()
        return codes


def request_for(name, mark=None):
    """Of the tiny model; with `mark`, every name that a caller may choose holds it."""
    request = service_pb2.ModelInferRequest(model_name=name)
    one = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    one.contents.fp32_contents.extend([1, 2, 3, 4])
    if mark is not None:
        request.model_version = request.id = mark
        request.parameters["penstock_class"].string_param = mark
        request.parameters["penstock_experts"].string_param = mark
    return request


def start(fleet):
    repository = fleet.folder / "models"
    write_tiny_model(repository, "tiny")
    expert = fleet.expert({"model_repository": str(repository), "trust_plaintext": True})
    experts = [{"name": "tiny", "replicas": [{"address": expert.grpc}]}]
    router = fleet.router({"trust_plaintext": True, "pools": [
        {"name": f"pool{number}", "experts": experts} for number in range(POOLS)]})
    keys = fleet.folder / "keys.json"
    keys.write_text(json.dumps({"keys": [
        {"sha256": hashlib.sha256(f"key-{number}".encode()).hexdigest(),
         "tenant": f"{BAIT}-tenant-{number}"} for number in range(TENANTS)]}), encoding="utf-8")
    gateway = fleet.gateway({"routers": [{"address": router.grpc}],
                             "identity": {"api_keys_file": str(keys)}})
    return {"gateway": gateway, "router": router, "expert": expert}


def attack(caller, first, count):
    for number in range(first, first + count):
        mark = f"{BAIT}-{number}"
        caller.send(request_for(mark, mark),
                    [("authorization", f"Bearer key-{number % TENANTS}"), ("x-request-id", mark)])
    return caller.finish()


def ask_for_tenants(caller, router):
    """Texts for what is wrong with the tenants that the router tells."""
    for number in range(ANSWERED_TENANTS):
        caller.send(request_for("pool0"), [("authorization", f"Bearer key-{number}")])
    codes = caller.finish()
    if codes != {"OK": ANSWERED_TENANTS}:
        return [f"requests of {ANSWERED_TENANTS} tenants: {codes}"]
    settled = time.monotonic() + SETTLE_S
    while True:  # an answer may be there before it is counted
        tenants = {labels["tenant"] for labels, _ in look(router)[2].each(OF_TENANTS)}
        if len(tenants) > TENANTS_TOLD or time.monotonic() > settled:
            break
        time.sleep(0.1)
    if len(tenants - {"other"}) != TENANTS_TOLD or "other" not in tenants:
        return [f"router: of {ANSWERED_TENANTS} tenants {len(tenants)} are told, wanted "
                f"{TENANTS_TOLD} and other"]
    return []


def counted_as_other(kind, samples):
    """Requests for names that the service does not know, by its own count."""
    name, label = COUNTERS[kind]
    return samples.sum(name, code="NOT_FOUND", **{label: "other"})


def look(service):
    """(series, those that hold what a caller made up, scrape)"""
    samples = scrape(service.metrics, timeout_s=30)
    told = [f"{name} {labels}" for name, labels, _ in samples.samples
            if name != OF_TENANTS and any(BAIT in value for value in labels.values())]
    return len(samples.samples), told, samples


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binaries", type=pathlib.Path, help="folder of the built binaries")
    parser.add_argument("--count", type=int, default=100_000,
                        help="hostile requests to the gateway; a tenth as many to router and "
                        "expert service")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    options = parser.parse_args()
    wrong, rows = [], []
    with Fleet(options.binaries) as fleet:
        services = start(fleet)
        callers = {kind: Caller(service.grpc) for kind, service in services.items()}
        for number in range(POOLS):  # from here on every pool that will be told is
            callers["gateway"].send(request_for(f"pool{number}"),
                                    [("authorization", "Bearer key-0")])
        codes = callers["gateway"].finish()
        if codes != {"OK": POOLS}:
            wrong.append(f"requests to pools that exist: {codes}")
        pools = {labels["pool"] for labels, _ in
                 look(services["gateway"])[2].each("penstock_gateway_requests_total", code="OK")}
        if len(pools - {"other"}) != POOLS_TOLD or "other" not in pools:
            wrong.append(f"gateway: of {POOLS} pools {len(pools)} are told, wanted {POOLS_TOLD} "
                         "and other")
        wrong += ask_for_tenants(callers["gateway"], services["router"])
        for kind, service in services.items():
            count = options.count if kind == "gateway" else options.count // 10
            attack(callers[kind], 0, 10)
            before, _, samples = look(service)
            other = counted_as_other(kind, samples)
            resident = usage_of(service.pid).resident_bytes
            began = time.monotonic()
            codes = attack(callers[kind], 10, count)
            took = time.monotonic() - began
            not_found = codes.get("NOT_FOUND", 0)
            settled = time.monotonic() + SETTLE_S
            while True:  # an answer may be there before it is counted
                after, told, samples = look(service)
                counted = counted_as_other(kind, samples) - other
                if counted >= not_found or time.monotonic() > settled:
                    break
                time.sleep(0.1)
            rows.append({"service": kind, "requests": count, "codes": codes,
                         "counted_as_other": counted, "seconds": round(took, 1),
                         "series_before": before, "series_after": after,
                         "resident_grew_bytes": usage_of(service.pid).resident_bytes - resident})
            if (codes.get("OK") or sum(codes.values()) != count
                    or not_found < LEAST_NOT_FOUND * count):
                wrong.append(f"{kind}: {codes} of {count} requests for what does not exist, wanted "
                             f"{LEAST_NOT_FOUND:.0%} NOT_FOUND and none OK")
            # A caller whose deadline comes first sees another code than the service counts.
            if not not_found <= counted <= count:
                wrong.append(f"{kind}: {not_found} NOT_FOUND, counted as other: {counted:g}")
            if told:
                wrong.append(f"{kind}: {len(told)} series hold what callers made up, the first is "
                             f"{told[0]}")
            if after - before > MOST_MORE_SERIES:
                wrong.append(f"{kind}: {before} series before, {after} after")
        wrong += fleet.end()
        if wrong:
            fleet.keep()
    print(f"{'service':8} {'requests':>8} {'seconds':>8} {'series':>7} {'after':>7} {'grew MiB':>9}"
          f" {'other':>8}  codes")
    for row in rows:
        print(f"{row['service']:8} {row['requests']:8d} {row['seconds']:8.1f} "
              f"{row['series_before']:7d} {row['series_after']:7d} "
              f"{row['resident_grew_bytes'] / 2**20:9.1f} {row['counted_as_other']:8.0f}  "
              f"{row['codes']}")
    print(f"load average {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "wrong": wrong,
                                            "load_average": os.getloadavg()[0]}, indent=1) + "\n",
                                encoding="utf-8")
    for text in wrong:
        print(f"error: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
