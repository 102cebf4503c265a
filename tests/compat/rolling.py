"""A platform whose services are replaced one by one by those of another version, under load."""

import time

from fleet import scrape, start_load, tiny_input, write_tiny_model
from mixes import poll

RATE = 40  # requests a second, of each pool
ROWS = 200
# Of a service that has been replaced, so many requests before the next one is.
LEAST_ANSWERED = 20
PATIENCE_S = 60
POOLS = ("plain", "kept")


class Rolling:
    """Two of each kind, all `old`."""

    def __init__(self, fleet, binaries):
        self.fleet, self.binaries = fleet, binaries
        self.redis = fleet.redis(name="rolling-redis",
                                 arguments=["--maxmemory-policy", "noeviction"])
        store = f"{self.redis.url}?prefix=rolling:"
        repository = fleet.folder / "rolling-models"
        write_tiny_model(repository, "tiny")
        self.experts = [self._service("expert", number, {
            "model_repository": str(repository), "trust_plaintext": True,
            "execution": {"threads": 1}, "fault": {"hold": "5ms"}}) for number in (1, 2)]
        replicas = [{"address": expert.grpc} for expert in self.experts]
        experts = [{"name": "tiny", "joules_per_row": 1, "replicas": replicas}]
        budgets = [{"resource": "REQUESTS", "amount": 1e6, "per": "DAY", "hard": True}]
        self.routers = [self._service("router", number, {
            "trust_plaintext": True, "store": store, "seed": number, "pools": [
                {"name": "plain", "experts": experts, "budgets": budgets},
                {"name": "kept", "experts": experts, "cacheable": {"ttl": "2s"}}]})
            for number in (1, 2)]
        self.gateways = [self._service("gateway", number, {
            "routers": [{"address": router.grpc} for router in self.routers],
            "cache": {"store": store}}) for number in (1, 2)]

    def _service(self, kind, number, config):
        return self.fleet.service([self.binaries["old"] / f"penstock-{kind}"], config,
                                  name=f"rolling-{kind}-{number}")

    def start_loads(self, duration_s):
        given = tiny_input(self.fleet.folder / "rolling-rows.f32", ROWS)
        self.loads = {pool: start_load(self.fleet, self.gateways, pool, given,
                                       name=f"rolling-{pool}", rate=RATE, duration_s=duration_s,
                                       timeout_s=10, rows=ROWS, seed=seed)
                      for seed, pool in enumerate(POOLS, 1)}
        for load in self.loads.values():
            load.await_first()

    def replace_all(self, version):
        """Who is called before who calls; seconds that each took until it had answered requests."""
        rows = []
        for kind, services in (("expert", self.experts), ("router", self.routers),
                               ("gateway", self.gateways)):
            for service in services:
                began = time.monotonic()
                code = service.stop()
                if code != 0:
                    raise RuntimeError(f"{service.name} ended with {code} when it was told to "
                                       f"stop:\n{service.log_end()}")
                service.command[0] = str(self.binaries[version] / f"penstock-{kind}")
                service.restart()
                self._await_answers(kind, service)
                rows.append({"service": service.name, "to": version,
                             "seconds": round(time.monotonic() - began, 2)})
        return rows

    def _await_answers(self, kind, service):
        def look():
            if not any(load.running() for load in self.loads.values()):
                raise RuntimeError(f"the load ended before {service.name} had answered: "
                                   "raise --load_s")
            answered = scrape(service.metrics).sum(f"penstock_{kind}_answered_total")
            return answered >= LEAST_ANSWERED or f"{answered} requests"
        poll(look, f"{service.name} answers {LEAST_ANSWERED} requests", PATIENCE_S)

    def requests(self):
        """By pool, every request, once the loads have ended."""
        for load in self.loads.values():
            load.result()
        return {pool: load.requests() for pool, load in self.loads.items()}
