"""What overload.py puts load on: one expert of known capacity, a router, a gateway, two tenants."""

import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import start_load, tiny_input, write_tiny_model  # noqa: E402

POOL = "pool"
TENANTS = ("flood", "behaved")
ROWS = 100
# The gateway's default: its limit until that is lowered.
MAX_IN_FLIGHT = 1024


class Platform:
    """`slots` requests at a time are held for `hold_ms` each: slots / hold is the capacity."""

    def __init__(self, fleet, *, slots, hold_ms, admission=None, fault=True):
        self.fleet = fleet
        repository = fleet.folder / "models"
        if not repository.exists():
            write_tiny_model(repository, "tiny")
        self.inputs = tiny_input(fleet.folder / "rows.f32", ROWS)
        expert = {"model_repository": str(repository), "trust_plaintext": True}
        if fault:
            expert["fault"] = {"hold": f"{hold_ms / 1000}s", "slots": slots}
        self.expert = fleet.expert(expert)
        self.router = fleet.router({"trust_plaintext": True, "pools": [{
            "name": POOL,
            # The one expert is asked whatever its predicted latency: see docs/overload.md.
            "on_infeasible": "DEGRADE",
            "experts": [{"name": "tiny", "slots": slots,
                         "replicas": [{"address": self.expert.grpc}]}]}]})
        self.keys = {}
        keys = []
        for tenant in TENANTS:
            key = f"key-of-{tenant}"
            self.keys[tenant] = fleet.folder / f"{tenant}.key"
            self.keys[tenant].write_text(key, encoding="utf-8")
            keys.append({"sha256": hashlib.sha256(key.encode()).hexdigest(), "tenant": tenant})
        keys_file = fleet.folder / "keys.yaml"
        keys_file.write_text(json.dumps({"keys": keys}), encoding="utf-8")
        config = {"routers": [{"address": self.router.grpc}],
                  "identity": {"api_keys_file": str(keys_file)}}
        if admission is not None:
            config["admission"] = admission
        self.gateway = fleet.gateway(config)

    @property
    def services(self):
        return {"gateway": self.gateway, "router": self.router, "expert": self.expert}

    def load(self, tenant, *, deadline_ms, **options):
        return start_load(self.fleet, [self.gateway], POOL, self.inputs, name=tenant, rows=ROWS,
                          timeout_s=deadline_ms / 1000,
                          arguments=["--api_key_file", self.keys[tenant]], **options)

    def stop(self):
        """What is wrong with how its services ended."""
        return self.fleet.end(self.services.values())
