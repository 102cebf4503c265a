"""What is watched in tests: a platform in which every part that has metrics is used."""

import hashlib
import json
import pathlib
import random
import struct

from fleet import start_load, tiny_input, write_tiny_model

KEY = "alice-key"
ROWS = 200
DIGITS = ("linear", "mlp32", "moe")
IMAGE = 784
# Requests that `burning` may spend by the hour and by the day.
BURNT = 600


def safetensors(tensors, metadata=None):
    """Bytes of a file; `tensors`: (shape, values) by name."""
    header = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, (shape, values) in tensors.items():
        end = len(data) + 4 * len(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), end]}
        data += struct.pack(f"<{len(values)}f", *values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


class WatchedPlatform:
    """A gateway, two routers that share budgets in Redis, five expert services, and a router of its
    own that learns nothing.

    Pools: `both` asks two experts by a gate and has a shadow, a plan, hedges and budgets; `lone`
    has one expert with one replica, whose rows end early; `explored` explores, asks bad replicas as
    often as it may and retries nothing; `kept` has its answers kept; `digits` is a cascade;
    `collapsed` has a gate that knows one expert of three; `spent` has a hard budget of requests
    that a few of them spend, `burning` soft ones that last for a minute; `hurried` is there for
    callers whose deadlines nobody meets. The router `frozen` has `guessed`, whose expert takes far
    longer and fewer joules than is written of it. The last of the experts has a certificate, and
    nobody asks it; `gpus`: variables of its environment with which it finds some.
    """

    def __init__(self, fleet, root, gpus=None):
        self.fleet, self.root = fleet, pathlib.Path(root).resolve()
        self.redis = fleet.redis()
        self.repository = fleet.folder / "models"
        for seed, name in enumerate(("tiny", "other"), start=1):
            write_tiny_model(self.repository, name, seed=seed)
        self._write_early_model("lone")
        for name in DIGITS:
            (self.repository / name).symlink_to(self.root / "examples/digits/models" / name)
        self.gate = self._write_gate("gate", bias=0)
        self.one_sided = self._write_gate("one_sided", bias=30)
        self.of_three = self._write_gate("of_three", 30, ("tiny", "other", "spare"))
        self.certificates = {days: fleet.certificates(days=days) for days in (60, 10, 2)}
        self.experts = [
            self._expert("tiny", "other", hold="2ms"),
            self._expert("tiny", "other", hold="2ms"),
            self._expert("tiny", hold="2ms"),
            self._expert("lone", *DIGITS),
            self._expert("tiny", server={"tls": self._serve_certificate(60)}, environment=gpus),
        ]
        self.routers = [self._router(number) for number in (1, 2)]
        self.frozen = self._frozen_router()
        self.keys = fleet.folder / "keys.yaml"
        self.write_keys()
        self.key_file = fleet.folder / "alice.key"
        self.key_file.write_text(KEY + "\n", encoding="utf-8")
        self.key_file.chmod(0o600)
        self.gateway = fleet.gateway(
            {
                "routers": [{"address": router.grpc} for router in self.routers],
                "identity": {"api_keys_file": str(self.keys), "reload_interval": "1s"},
                "cache": {"store": self.redis.url},
            }
        )
        self._tiny = tiny_input(fleet.folder / "rows.f32", ROWS)
        self._image = self._images()

    def services(self):
        return [self.gateway, *self.all_routers(), *self.experts]

    def all_routers(self):
        return [*self.routers, self.frozen]

    def write_keys(self):
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        self.keys.write_text(
            json.dumps({"keys": [{"sha256": digest, "tenant": "alice", "admin": True}]}),
            encoding="utf-8",
        )

    def show_certificate(self, days):
        """Puts one that is good for so many days in the place of the one that is served."""
        self._serve_certificate(days)

    def load(self, pool, *, rate=20, duration_s=1200, timeout_s=2, arguments=(), **options):
        given = self._image if pool == "digits" else self._tiny
        return start_load(
            self.fleet,
            [self.frozen if pool == "guessed" else self.gateway],
            pool,
            given,
            name=f"load-{pool}",
            rate=rate,
            duration_s=duration_s,
            timeout_s=timeout_s,
            rows=ROWS,
            arguments=("--api_key_file", self.key_file, *arguments),
            **options,
        )

    def _serve_certificate(self, days):
        made = self.certificates[days]
        served = {}
        for field, source in (("certificate_file", made.certificate), ("key_file", made.key)):
            served[field] = str(self.fleet.folder / f"served-{source.name}")
            fresh = pathlib.Path(served[field] + ".new")
            fresh.write_bytes(source.read_bytes())
            fresh.rename(served[field])
        return served

    def _expert(self, *models, hold="", server=None, environment=None):
        config = {
            "server": server or {},
            "model_repository": str(self.repository),
            "models": list(models),
            "trust_plaintext": True,
            "execution": {"threads": 1},
        }
        if hold:
            config["fault"] = {"hold": hold}
        return self.fleet.expert(config, environment=environment)

    def _write_gate(self, name, bias, experts=("tiny", "other")):
        """`bias`: of the first one's logit."""
        draw = random.Random(1)
        count = len(experts)
        weights = [draw.uniform(-1, 1) for _ in range(4 * count)]
        path = self.fleet.folder / f"{name}.safetensors"
        path.write_bytes(
            safetensors(
                {
                    "weight": ([count, 4], weights),
                    "bias": ([count], [float(bias)] + [0.0] * (count - 1)),
                },
                {"experts": json.dumps(experts)},
            )
        )
        return str(path)

    def _write_early_model(self, name):
        """A linear layer whose rows all leave at the exit behind it."""
        folder = self.repository / name
        (folder / "1").mkdir(parents=True)
        (folder / "config.yaml").write_text(
            "inputs: [{name: x, datatype: FP32, shape: [4]}]\n"
            "outputs: [{name: y, datatype: FP32, shape: [2]}]\n"
            "blocks: [{linear: {}}, {exit_head: {}}, {linear: {}}]\n",
            encoding="utf-8",
        )
        tensors = {
            "0.weight": ([4, 4], [0.5] * 16),
            "1.weight": ([2, 4], [0.25] * 8),
            "1.bias": ([2], [0.0, 1.0]),
            "1.gate": ([4], [0.0] * 4),
            "1.gate_bias": ([1], [9.0]),
            "2.weight": ([2, 4], [0.25] * 8),
        }
        (folder / "1" / "model.safetensors").write_bytes(safetensors(tensors))

    def _images(self):
        path = self.fleet.folder / "images.f32"
        draw = random.Random(1)
        path.write_bytes(
            struct.pack(f"<{ROWS * IMAGE}f", *(draw.random() for _ in range(ROWS * IMAGE)))
        )
        return f"image=@{path}"

    def _router(self, number):
        def expert(name, *services):
            return {"name": name, "replicas": [{"address": service.grpc} for service in services]}

        tiny, other = expert("tiny", *self.experts[:3]), expert("other", *self.experts[:2])
        spare = {**expert("spare", self.experts[0]), "model": "tiny"}
        gated = {
            "experts": [tiny, other],
            "features": {"tensor_pooling": {"input": "x"}},
            "selection": {"score": "GATE_MASS"},
        }
        router = self.root / "examples/digits/router"
        pools = [
            {
                "name": "both",
                **gated,
                "gate": {"topk_softmax": {"file": self.gate, "k": 1}},
                "selection": {"score": "GATE_MASS", "max_utilisation": 0.8},
                "shadow": {"gate": {"topk_softmax": {"file": self.one_sided, "k": 1}}},
                "planning": {"watts": 1000, "period": "1s"},
                "hedging": {"quantile": 0.5, "extra_dispatches": 0.5},
                "guards": {"flagged_classes": ["red"]},
                "classes": {"red": {}},
                "budgets": [{"resource": "JOULES", "amount": 1e6, "per": "HOUR", "hard": True}],
            },
            {"name": "lone", "experts": [expert("lone", self.experts[3])]},
            {
                "name": "explored",
                "experts": [tiny, other],
                "features": {"tensor_pooling": {"input": "x"}},
                "exploration": {"uniform": 0.5},
                "replica_choice": {"probe_share": 0.1},
                "resilience": {
                    "window": "60s",
                    "min_requests": 5,
                    "breaker": {"off": True},
                    "retries": {"share": 0, "min_per_second": 0},
                },
            },
            {"name": "kept", "experts": [tiny], "cacheable": {"ttl": "2s"}},
            {
                "name": "digits",
                "experts": [expert(name, self.experts[3]) for name in DIGITS],
                "features": {"tensor_pooling": {"input": "image", "cells": 49}},
                "gate": {"topk_softmax": {"file": str(router / "gate.safetensors"), "k": 1}},
                "quality_file": str(router / "quality.safetensors"),
                "cascade": {"first": "mlp32", "file": str(router / "cascade.safetensors")},
                "combined_output": "probabilities",
                "on_infeasible": "DEGRADE",
            },
            {
                "name": "collapsed",
                **gated,
                "experts": [tiny, other, spare],
                "gate": {"topk_softmax": {"file": self.of_three, "k": 1}},
            },
            {
                "name": "spent",
                "experts": [tiny],
                "budgets": [{"resource": "REQUESTS", "amount": 50, "per": "HOUR", "hard": True}],
            },
            {
                "name": "burning",
                "experts": [tiny],
                # Of the hour's end, or of the day's, at most one is near.
                "budgets": [
                    {"resource": "REQUESTS", "amount": BURNT, "per": per} for per in ("HOUR", "DAY")
                ],
            },
            {"name": "hurried", "experts": [tiny]},
        ]
        return self.fleet.router(
            {
                "server": {"log": {"max_lines_per_second": 1}},
                "trust_plaintext": True,
                "seed": number,
                "store": self.redis.url,
                "pools": pools,
                "decision_log": {
                    "directory": str(self.fleet.folder / f"decisions-{number}"),
                    "segment_bytes": 64 << 10,
                },
            }
        )

    def _frozen_router(self):
        """Its one pool believes what is written of its expert, and never anything else."""
        wrong = {
            "name": "tiny",
            "replicas": [{"address": self.experts[0].grpc}],
            "latency_ms": 0.05,
            "joules_per_row": 1000,
            # With any, what is written counts before what the replica says of itself.
            "parameters": {"note": {"string": "guessed"}},
        }
        return self.fleet.router(
            {
                "trust_plaintext": True,
                "learning": "OFF",
                "pools": [{"name": "guessed", "experts": [wrong]}],
            },
            name="frozen",
        )
