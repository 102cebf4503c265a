"""What the faults are done to: two gateways, two routers, three experts twice, a redis-server."""

from fleet import start_load, tiny_input, write_tiny_model

# How long an answer takes: what a model of some size would.
EXPERTS = {"small": "10ms", "medium": "15ms", "large": "20ms"}
# Share of the load by pool. `kept` has its answers in the gateways' caches and in Redis.
POOLS = {"only_small": 0.2, "only_medium": 0.2, "only_large": 0.2, "all": 0.2, "kept": 0.2}
ROWS = 400
DEADLINE_S = 2


class Platform:
    """Both gateways, both routers and both replicas of every expert are in namespaces that can be cut off."""

    def __init__(self, fleet, router_store):
        self.fleet = fleet
        self.hosts = {name: fleet.host(name) for name in
                      ("gateway-1", "gateway-2", "router-1", "router-2", "experts-1", "experts-2",
                       "redis")}
        self.redis = fleet.redis(host=self.hosts["redis"],
                                 arguments=["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"])
        repository = fleet.folder / "models"
        for name in EXPERTS:
            write_tiny_model(repository, name)
        self.experts = {}  # (name, 1 or 2)
        for name, hold in EXPERTS.items():
            for number in (1, 2):
                self.experts[name, number] = fleet.expert(
                    {"model_repository": str(repository), "models": [name], "trust_plaintext": True,
                     "execution": {"threads": 1}, "fault": {"hold": hold}},
                    host=self.hosts[f"experts-{number}"], name=f"{name}-{number}")
        self.routers = [self._router(number, router_store) for number in (1, 2)]
        self.gateways = [
            fleet.gateway({"routers": [{"address": router.grpc} for router in self.routers],
                           "cache": {"store": self.redis.url + "?prefix=chaos:"}},
                          host=self.hosts[f"gateway-{number}"], name=f"gateway-{number}")
            for number in (1, 2)]

    def _router(self, number, store):
        experts = {name: {"name": name, "joules_per_row": 1,
                          "replicas": [{"address": self.experts[name, number].grpc}
                                       for number in (1, 2)]} for name in EXPERTS}
        pools = [{"name": f"only_{name}", "experts": [expert]} for name, expert in experts.items()]
        pools += [{"name": "all", "experts": list(experts.values())},
                  {"name": "kept", "experts": list(experts.values()), "cacheable": {"ttl": "10s"}}]
        config = {"trust_plaintext": True, "pools": pools, "seed": number}
        if store:
            config["store"] = self.redis.url + "?prefix=chaos:"
            config["budgets"] = [{"amount": 1e9, "per": "DAY", "hard": True}]
        return self.fleet.router(config, host=self.hosts[f"router-{number}"], name=f"router-{number}")

    def start_loads(self, rate, duration_s):
        given = tiny_input(self.fleet.folder / "rows.f32", ROWS)
        return [start_load(self.fleet, self.gateways, pool, given, name=f"load-{pool}",
                           rate=rate * share, duration_s=duration_s, timeout_s=DEADLINE_S, rows=ROWS,
                           seed=seed)
                for seed, (pool, share) in enumerate(POOLS.items(), start=1)]

    def services(self):
        return [*self.gateways, *self.routers, *self.experts.values()]
