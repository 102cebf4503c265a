"""Two chains of gateway and router over the same experts: one with a store, one without for comparison."""

from fleet import start_load, tiny_input, write_tiny_model

POOL = "kept"
MASTER = "shared"  # as sentinels call it


class Chain:
    """A gateway and a router, and the requests to them."""

    def __init__(self, fleet, name, experts, store, router_store):
        self.fleet = fleet
        self.name = name
        # Answers have gone before their requests come again, so that the cache is read and written for
        # each and answers none: the work is the same with the store as without.
        pool = {"name": POOL, "cacheable": {"ttl": "1s"}, "experts": [
            {"name": "tiny", "joules_per_row": 1,
             "replicas": [{"address": expert.grpc} for expert in experts]}]}
        router = {"trust_plaintext": True, "pools": [pool],
                  "budgets": [{"amount": 1e9, "per": "DAY", "hard": True}]}
        if store and router_store:
            router["store"] = store
        self.router = fleet.router(router, name=f"{name}-router")
        cache = {"store": store} if store else {}
        self.gateway = fleet.gateway({"routers": [{"address": self.router.grpc}], "cache": cache},
                                     name=f"{name}-gateway")

    def start_load(self, given, rows, rate, duration_s):
        # The same times on both chains: what the machine does beside meets both.
        self.load = start_load(self.fleet, [self.gateway], POOL, given, name=f"{self.name}-load",
                               rate=rate, duration_s=duration_s, timeout_s=2, rows=rows, seed=1)


class Pair:
    """Both chains."""

    def __init__(self, fleet, store, router_store):
        repository = fleet.folder / "models"
        write_tiny_model(repository, "tiny")
        experts = [fleet.expert({"model_repository": str(repository), "trust_plaintext": True,
                                 "execution": {"threads": 1}, "fault": {"hold": "3ms"}})
                   for _ in range(2)]
        self.fleet = fleet
        self.tested = Chain(fleet, "tested", experts, store, router_store)
        self.control = Chain(fleet, "control", experts, "", router_store)

    def start_loads(self, rate, duration_s):
        rows = int(2 * rate)  # two seconds of requests
        given = tiny_input(self.fleet.folder / "rows.f32", rows)
        for chain in (self.tested, self.control):
            chain.start_load(given, rows, rate, duration_s)
        for chain in (self.tested, self.control):
            chain.load.await_first()


def write_store(fleet, kind):
    """(the store's address, who is taken away: `kill`, `pause`, `restart`, its sentinels)."""
    if kind == "sentinel":
        master = fleet.redis(name="master")
        replica = fleet.redis(name="replica", arguments=["--replicaof", master.host, master.port])
        sentinels = [fleet.redis(name=f"sentinel-{number}", sentinel_of=(MASTER, master, 2))
                     for number in (1, 2, 3)]
        hosts = ",".join(sentinel.url for sentinel in sentinels)
        return f"redis+sentinel://{hosts}/{MASTER}", master, replica, sentinels
    certificates = fleet.certificates() if kind == "tls" else None
    server = fleet.redis(certificates=certificates)
    return server.url, server, None, []
