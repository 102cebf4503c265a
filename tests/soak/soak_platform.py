"""What is kept under load: two gateways, two routers, two expert services, a redis-server."""

import hashlib
import json
import struct

from fleet import start_load, tiny_input, write_tiny_model

MODELS = ("tiny", "other", "spare")
# Requests of an own kind a second, as shares of the rate.
POOLS = {"plain": 0.3, "pair": 0.15, "rows": 0.1, "kept": 0.2, "pooled": 0.15, "budgeted": 0.1}
ROWS = 2000
# Few enough that most requests of `kept` find an answer.
KEPT_ROWS = 200

ECHO = """
inputs:
  - {name: floats, datatype: FP32, shape: [-1, 2]}
  - {name: ids, datatype: INT64, shape: [-1]}
  - {name: texts, datatype: BYTES, shape: [-1]}
outputs:
  - {name: floats, datatype: FP32, shape: [-1, 2]}
  - {name: ids, datatype: INT64, shape: [-1]}
  - {name: texts, datatype: BYTES, shape: [-1]}
blocks: [{identity: {}}]
batching: {max_rows: 0}
"""


class Platform:
    """Everything that is bounded has a small bound, so that it is full once the warm-up is over: decisions in
    memory and on disk, answers that are kept."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.redis = fleet.redis(arguments=["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"])
        repository = fleet.folder / "models"
        for seed, name in enumerate(MODELS):
            write_tiny_model(repository, name, seed=seed)
        (repository / "echo" / "1").mkdir(parents=True)
        (repository / "echo" / "config.yaml").write_text(ECHO, encoding="utf-8")
        self._write_gate()
        self.experts = [fleet.expert({"model_repository": str(repository), "trust_plaintext": True,
                                      "models": ["tiny", "other", "echo"],
                                      "execution": {"threads": 1}}) for _ in range(2)]
        self.routers = [self._router(number) for number in (1, 2)]
        keys = fleet.folder / "keys.yaml"
        keys.write_text(json.dumps({"keys": [
            {"sha256": hashlib.sha256(f"{name}-key".encode()).hexdigest(), "tenant": name,
             "admin": name == "alice"} for name in ("alice", "bob")]}), encoding="utf-8")
        self.key_file = fleet.folder / "alice.key"
        self.key_file.write_text("alice-key\n", encoding="utf-8")
        self.key_file.chmod(0o600)
        self.gateways = [fleet.gateway({
            "routers": [{"address": router.grpc} for router in self.routers],
            "identity": {"api_keys_file": str(keys)},
            "admission": {"max_in_flight": 1000},
            "cache": {"store": self.redis.url + "?prefix=soak:", "max_bytes": 200_000}})
            for _ in range(2)]
        self._reloads = 0
        self.reloads = {service.name: 0 for service in self.services()}  # files written
        self._rows = tiny_input(fleet.folder / "rows.f32", ROWS)

    def _write_gate(self):
        weights = struct.pack("<8f", 1, -1, 1, -1, -1, 1, -1, 1)
        header = json.dumps({"__metadata__": {"experts": '["tiny", "other"]'},
                             "weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}})
        header += " " * (-len(header) % 8)
        self.gate = self.fleet.folder / "gate.safetensors"
        self.gate.write_bytes(struct.pack("<Q", len(header)) + header.encode() + weights)

    def _router(self, number):
        def expert(name, model=""):
            return {"name": name, "model": model or name,
                    "replicas": [{"address": service.grpc} for service in self.experts]}

        tiny, both = [expert("tiny")], [expert("tiny"), expert("other")]
        gate = {"topk_softmax": {"file": str(self.gate), "k": 1}}
        pools = [
            {"name": "plain", "experts": tiny, "max_in_flight": 1000},
            {"name": "pair", "experts": both, "selection": {"max_experts": 2},
             "combiner": "WEIGHTED_SUM"},
            {"name": "rows", "experts": both, "granularity": "ROW", "combiner": "WEIGHTED_SUM",
             "features": {"tensor_pooling": {"input": "x"}}, "gate": gate},
            {"name": "kept", "experts": tiny, "cacheable": {"ttl": "3s"}},
            {"name": "pooled", "experts": both, "gate": gate, "hedging": {},
             "features": {"tensor_pooling": {"input": "x"}}, "selection": {"score": "GATE_MASS"}},
            {"name": "budgeted", "experts": both,
             "budgets": [{"amount": 1000, "per": "SECOND"},
                         {"resource": "REQUESTS", "amount": 1e8, "per": "DAY", "hard": True}]},
            {"name": "texts", "experts": [expert("echo")],
             "features": {"text": {"input": "texts", "bits": 10, "surface": True}}}]
        return self.fleet.router({
            "trust_plaintext": True, "seed": number, "store": self.redis.url + "?prefix=soak:",
            "decision_log": {"directory": str(self.fleet.folder / f"decisions-{number}"),
                             "capacity": 500, "max_bytes": 4 << 20, "segment_bytes": 256 << 10,
                             "queue_bytes": 1 << 20},
            "pools": pools})

    def services(self):
        return [*self.gateways, *self.routers, *self.experts]

    def processes(self):
        return [*self.services(), self.redis]

    def start_loads(self, rate, duration_s, seed):
        """Well-behaved clients, one generator a pool, for all of `duration_s`."""
        return [self._load(pool, rate * share, duration_s, 100 * seed + number)
                for number, (pool, share) in enumerate(POOLS.items())]

    def start_visitor(self, duration_s, seed):
        """A client that comes, asks for a moment and goes."""
        return self._load("plain", 20, duration_s, seed, ("--latency_budget_ms", 1000))

    def _load(self, pool, rate, duration_s, seed, arguments=()):
        return start_load(self.fleet, self.gateways, pool, self._rows, rate=rate, seed=seed,
                          duration_s=duration_s, rows=KEPT_ROWS if pool == "kept" else ROWS,
                          timeout_s=10, name=f"load-{pool}",
                          arguments=("--api_key_file", self.key_file, *arguments))

    def start_traffic(self, rate, duration_s, seed):
        """Clients that do everything wrong, streams, explanations, cancellations, listeners."""
        return self.fleet.command("traffic", [
            self.fleet.binaries / "penstock_soak_traffic", "--rate", rate, "--duration_s", duration_s,
            "--gateways", ",".join(gateway.grpc for gateway in self.gateways), "--seed", seed])

    def reload_one(self):
        """Another configuration for one service: a limit is another, a model comes or goes."""
        services = self.services()
        service = services[self._reloads % len(services)]
        other = self._reloads // len(services) % 2 == 0
        self._reloads += 1
        if service in self.gateways:
            service.config["admission"]["max_in_flight"] = 1001 if other else 1000
        elif service in self.routers:
            service.config["pools"][0]["max_in_flight"] = 1001 if other else 1000
        else:
            service.config["models"] = ["tiny", "other", "echo"] + (["spare"] if other else [])
        service.write_config()
        self.reloads[service.name] += 1
