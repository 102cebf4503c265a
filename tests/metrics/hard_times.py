"""What goes wrong on a platform, so that the metrics that tell of it are there."""

from fleet import scrape, start_load, tiny_input, write_tiny_model

# An expert that answers 40 requests a second, a tenant with a quota of 100, who asks 300 times a
# second: the quota refuses, and what it lets through is late, so the pool's limit falls.
HOLD, SLOTS, QUOTA, RATE, COUNT = "50ms", 2, 100, 300, 600
TIMEOUT_S = 0.5
ROWS = 64
# In flight at two routers: some are at the one that goes.
IN_FLIGHT = 16
NOBODYS_JOULES = 1e-12


class Overload:
    """A gateway, a router and an expert service of its own, asked for more than they can do.
    `gpus`: variables with which the expert service finds some."""

    def __init__(self, fleet, gpus=None):
        repository = fleet.folder / "slow-models"
        write_tiny_model(repository, "slow")
        self.expert = fleet.expert({
            "model_repository": str(repository), "trust_plaintext": True,
            "execution": {"threads": 1}, "fault": {"hold": HOLD, "slots": SLOTS}},
            name="slow-expert", environment=gpus)
        self.router = fleet.router({"trust_plaintext": True, "pools": [
            {"name": "slow", "experts": [
                {"name": "slow", "replicas": [{"address": self.expert.grpc}]}]}]},
            name="slow-router")
        self.gateway = fleet.gateway({
            "routers": [{"address": self.router.grpc}],
            "identity": {"quotas": {"default": {"requests_per_second": QUOTA}}}},
            name="slow-gateway")
        self.load = start_load(
            fleet, [self.gateway], "slow", tiny_input(fleet.folder / "slow.f32", ROWS),
            name="load-slow", rate=RATE, duration_s=60, timeout_s=TIMEOUT_S, rows=ROWS,
            arguments=("--count", COUNT))

    def services(self):
        return [("gateway", self.gateway), ("router", self.router), ("expert", self.expert)]


def degrade(platform, count):
    """Requests that no expert can answer for as few joules, to a pool that answers all the same."""
    return platform.load("digits", duration_s=60,
                         arguments=("--count", count, "--energy_budget_j", NOBODYS_JOULES))


def lose_a_router(platform, patience_s):
    """One of two routers is killed with requests in flight, and comes back."""
    load = platform.load("explored", rate=None, concurrency=IN_FLIGHT, duration_s=2 * patience_s)
    load.await_first()
    lost = platform.routers[1]
    lost.kill()
    load.wait_until(
        lambda: scrape(platform.gateway.metrics).sum("penstock_gateway_retries_total") > 0,
        "a request was sent to a second router", patience_s)
    load.stop()
    lost.restart()
