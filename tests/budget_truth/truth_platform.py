"""Routers that share hard budgets through Redis, experts that say what was really spent, and the load."""

import dataclasses

from fleet import scrape, start_load, tiny_input, write_tiny_model

ROUTERS = 4
DOLLARS_PER_REQUEST = 0.01
# The cost model begins with the first; what an answer takes in the end is more.
PREDICTED_J = 1.0
ACTUAL_J = 1.2
HOLD_MS = 25


@dataclasses.dataclass
class Pool:
    """A pool with one hard budget, and a model of its own, so that experts count it apart."""

    resource: str
    per: str
    amount: float  # of the resource

    @property
    def name(self):
        return f"{self.resource}_{self.per}".lower()

    @property
    def unit(self):
        """Of the resource, a request."""
        return {"REQUESTS": 1, "JOULES": ACTUAL_J, "DOLLARS": DOLLARS_PER_REQUEST}[self.resource]

    @property
    def excess(self):
        """What a request takes at most beyond what was reserved for it."""
        return ACTUAL_J - PREDICTED_J if self.resource == "JOULES" else 0

    @property
    def key(self):
        """Of its ledger in the store."""
        return f"budget/{self.name}//{self.resource}/{self.per}"


def make_pools(rate, requests):
    """Every pool is asked for twice its budget a second; a budget of the hour is 0.7 of its requests."""
    pools = []
    for resource in ("REQUESTS", "JOULES", "DOLLARS"):
        for per, count in (("SECOND", round(rate / 2)), ("HOUR", round(0.7 * requests))):
            pool = Pool(resource, per, 0)
            pool.amount = round(count * pool.unit, 6)
            pools.append(pool)
    return pools


class Platform:
    def __init__(self, fleet, pools, store):
        """`store`: what routers share; empty: a Redis of the platform's own."""
        self.fleet, self.pools = fleet, pools
        # What a store of budgets is to be: kept on disk, and never emptied for want of memory.
        self.redis = fleet.redis(arguments=["--appendonly", "yes", "--appendfsync", "everysec",
                                            "--maxmemory-policy", "noeviction"])
        self.store = store or f"{self.redis.url}?prefix=truth:"
        repository = fleet.folder / "models"
        for pool in pools:
            write_tiny_model(repository, pool.name)
        self.experts = []
        for number in range(2):
            self.experts.append(fleet.expert({
                "model_repository": str(repository), "trust_plaintext": True,
                "models": [pool.name for pool in pools[number::2]],
                "metering": {"source": "MODELLED", "joules_per_request": ACTUAL_J, "idle_watts": 0},
                "fault": {"hold": f"{HOLD_MS / 1000}s"}, "execution": {"threads": 1}}))
        self.routers = [fleet.router({
            "trust_plaintext": True, "store": self.store,
            "pools": [self._pool(number, pool) for number, pool in enumerate(pools)]})
            for _ in range(ROUTERS)]
        self.rows = tiny_input(fleet.folder / "rows.f32", 512)

    def _pool(self, number, pool):
        return {"name": pool.name,
                "experts": [{"name": pool.name, "joules_per_row": PREDICTED_J,
                             "dollars": {"per_request": DOLLARS_PER_REQUEST},
                             "replicas": [{"address": self.experts[number % 2].grpc}]}],
                "budgets": [{"resource": pool.resource, "amount": pool.amount, "per": pool.per,
                             "hard": True}]}

    def start_load(self, pool, *, name, **options):
        return start_load(self.fleet, self.routers, pool.name, self.rows, rows=512, timeout_s=5,
                          name=f"{pool.name}-{name}", **options)

    def spent(self):
        """By pool, what its experts have taken, whoever asked and whatever became of the answer."""
        samples = [scrape(expert.metrics) for expert in self.experts]
        spent = {}
        for pool in self.pools:
            if pool.resource == "JOULES":
                names = "penstock_expert_reported_joules_total"
                spent[pool.name] = sum(of.sum(names, model=pool.name) for of in samples)
            else:
                names = "penstock_expert_requests_total"
                spent[pool.name] = pool.unit * sum(of.sum(names, model=pool.name) for of in samples)
        return spent

    def shared(self, what, pool, **labels):
        """Of each router, a figure of a shared budget; see docs/budgets.md. All of them have to run."""
        values = []
        for router in self.routers:
            if not router.running():
                raise RuntimeError(router.ended())
            samples = scrape(router.metrics)
            values.append(samples.sum(f"penstock_router_shared_budget_{what}", pool=pool.name,
                                      **labels))
        return values

    def leases_out(self, pool):
        """What the store holds as granted and neither given back nor spent, of all open windows."""
        unit = 1 if pool.resource == "REQUESTS" else 1e-6
        out = 0
        keys = self.redis.ask("KEYS", f"truth:*{pool.key}*").split()
        for key in keys:
            words = self.redis.ask("HGETALL", key).split("\n")
            totals = {}
            for field, value in zip(words[::2], words[1::2]):
                kind, _, owner = field.partition("/")
                totals.setdefault(owner, {})[kind] = int(value)
            for of in totals.values():
                out += max(0, of.get("g", 0) - of.get("r", 0) - of.get("s", 0)) * unit
        return out

    def reserved(self):
        """By pool, what routers hold for requests in flight."""
        return {pool.name: sum(self.shared("amount", pool, part="reserved")) for pool in self.pools}
