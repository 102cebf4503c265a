"""Gateways, routers and experts of two versions in every combination, over one Redis."""

import json
import re
import subprocess
import time

from fleet import scrape, start_load, tiny_input, write_tiny_model

VERSIONS = ("old", "new")
ROWS = 64
ACTUAL_J = 1.2
# What the hard budgets cover: less than is asked for, so that all versions meet their end together.
REQUESTS, JOULES = 240, 240 * ACTUAL_J
# By pool: resource and amount of its budget of the day.
BUDGETS = {"counted": ("REQUESTS", REQUESTS), "metered": ("JOULES", JOULES)}
SETTLE_S = 20
# What a key begins with: its layout, which those before the first one lack, and what it is of.
_KIND = re.compile(r"(v\d+:)?\w:[a-z_]*")
# Of a request: what is asked here is what comes of it, not how fast the machine is.
PATIENCE_S = 30


class Tool:
    """The `penstock` of the new version, as operators have it who upgrade a platform."""

    def __init__(self, binary):
        self.binary = binary

    def ask(self, *arguments):
        """Its JSON; RuntimeError where it fails."""
        done = subprocess.run([str(self.binary), *map(str, arguments)], capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"penstock {' '.join(map(str, arguments))}: "
                               f"{done.stderr}{done.stdout}")
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def infer(self, gateway, pool, row):
        return self.ask("infer", "--json", "--target", gateway.grpc, "--pool", pool, "--input",
                        f"x={json.dumps(row)}")

    def budgets(self, router, pool):
        return self.ask("budget", "get", "--json", "--router", router.grpc, "--pool",
                        pool)["budgets"]


def poll(look, what, patience_s):
    """What `look` returns once that is true; RuntimeError with what it last raised or returned."""
    until = time.monotonic() + patience_s
    while True:
        seen = look()
        if seen is True:
            return
        if time.monotonic() > until:
            raise RuntimeError(f"not within {patience_s} s: {what}; {seen}")
        time.sleep(0.05)


class Mixes:
    """One expert service a version, a router for each of the two in each version, and a gateway for
    each of those four in each version: eight chains. All routers share the budgets, where both
    versions' keys have one layout; else those of a version."""

    def __init__(self, fleet, binaries):
        """`binaries`: {version: folder}"""
        self.fleet = fleet
        self.redis = fleet.redis(arguments=["--maxmemory-policy", "noeviction"])
        self.store = f"{self.redis.url}?prefix=upgrade:"
        repository = fleet.folder / "models"
        for pool in (*BUDGETS, "kept"):
            write_tiny_model(repository, pool)
        self.given = tiny_input(fleet.folder / "rows.f32", ROWS)
        self.binaries = binaries
        self.experts = {version: self.expert(version) for version in VERSIONS}
        self.routers = {(r, e): self.router(r, [self.experts[e]], f"{r}-router-{e}-expert")
                        for r in VERSIONS for e in VERSIONS}
        self.gateways = {(g, *of): self.gateway(g, [router], f"{g}-gateway-{'-'.join(of)}")
                         for of, router in self.routers.items() for g in VERSIONS}

    def _service(self, version, binary, config, name):
        return self.fleet.service([self.binaries[version] / binary], config, name=name)

    def expert(self, version):
        return self._service(version, "penstock-expert", {
            "model_repository": str(self.fleet.folder / "models"), "trust_plaintext": True,
            "metering": {"source": "MODELLED", "joules_per_request": ACTUAL_J, "idle_watts": 0},
            "execution": {"threads": 1}}, f"{version}-expert")

    def router(self, version, experts, name):
        replicas = [{"address": expert.grpc} for expert in experts]
        pools = [{"name": pool,
                  "experts": [{"name": pool, "joules_per_row": 1, "replicas": replicas}],
                  "budgets": [{"resource": resource, "amount": amount, "per": "DAY", "hard": True}]}
                 for pool, (resource, amount) in BUDGETS.items()]
        pools.append({"name": "kept", "cacheable": {"ttl": "600s"},
                      "experts": [{"name": "kept", "joules_per_row": 1, "replicas": replicas}]})
        return self._service(version, "penstock-router", {
            "trust_plaintext": True, "store": self.store, "pools": pools}, name)

    def gateway(self, version, routers, name):
        return self._service(version, "penstock-gateway", {
            "routers": [{"address": router.grpc} for router in routers],
            # A machine that does much else is no reason to take a read for a miss.
            "cache": {"store": self.store, "store_timeout": "2s"}}, name)

    def spend(self):
        """Asks for twice what the budgets cover, evenly through all chains; what came of it."""
        each = 2 * REQUESTS // len(self.gateways)
        loads = {}
        for seed, (mix, gateway) in enumerate(self.gateways.items(), 1):
            for pool in BUDGETS:
                loads[mix, pool] = start_load(
                    self.fleet, [gateway], pool, self.given, name=f"{pool}-{'-'.join(mix)}",
                    rate=each / 6, duration_s=60, rows=ROWS, timeout_s=PATIENCE_S, seed=seed,
                    arguments=["--count", each])
        for load in loads.values():
            load.result()
        rows = []
        for (mix, pool), load in loads.items():
            codes = {}
            for request in load.requests():
                codes[request["code"]] = codes.get(request["code"], 0) + 1
            rows.append({"gateway": mix[0], "router": mix[1], "expert": mix[2], "pool": pool,
                         "codes": codes})
        return rows

    def ran(self, pool):
        """Requests that the experts ran, whoever asked."""
        name = "penstock_expert_requests_total"
        return sum(scrape(expert.metrics).sum(name, model=pool, code="OK")
                   for expert in self.experts.values())

    def key_kinds(self):
        """Of the keys in Redis, how many there are of each kind: what they begin with."""
        kinds = {}
        for key in self.redis.ask("KEYS", "upgrade:*").split("\n"):
            kind = _KIND.match(key.removeprefix("upgrade:"))[0]
            kinds[kind] = kinds.get(kind, 0) + 1
        return kinds

    def sharing(self):
        """The versions, those together that share what is in Redis: their keys have one layout."""
        layouts = {_KIND.match(kind)[1] for kind in self.key_kinds()}
        return [VERSIONS] if len(layouts) == 1 else [(version,) for version in VERSIONS]

    def routers_of(self, versions):
        return [router for (version, _), router in self.routers.items() if version in versions]
