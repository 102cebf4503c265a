"""One stretch of load, watched: what became of the requests, and what the processes took."""

import dataclasses
import math
import os
import statistics
import time

from fleet import scrape, usage_of
from overload_platform import MAX_IN_FLIGHT

# Often enough to see every limit: one holds for 50 answers, which take longer. Little of the CPU.
SCRAPE_S = 0.1


@dataclasses.dataclass
class Look:
    """What one scrape of the gateway said."""
    at: float
    queued: float
    in_flight: float
    limit: float


@dataclasses.dataclass
class Tenant:
    """What became of one tenant's requests that were due within the stretch."""
    asked: int = 0
    in_time: int = 0
    refused: int = 0  # with RESOURCE_EXHAUSTED
    missed: int = 0  # accepted, and not answered in time
    codes: dict = dataclasses.field(default_factory=dict)
    latencies_ms: list = dataclasses.field(default_factory=list)  # of the accepted; late ones infinite

    @property
    def share(self):
        return self.in_time / max(1, self.asked)


@dataclasses.dataclass
class Figures:
    seconds: float
    tenants: dict
    cpu_seconds: dict  # by process, and `generator`
    memory: dict  # by process: resident bytes, one a scrape
    looks: list
    most_at_expert: float
    sheds: dict
    load_average: float

    @property
    def most_queued(self):
        return max(look.queued for look in self.looks)

    @property
    def most_in_flight(self):
        return max(look.in_flight for look in self.looks)

    def furthest_over_limit(self, deadline_s):
        """(in flight, what it may have been) at the look where the first is the most beyond the second.
        What a fall of the limit leaves in flight has ended by its deadline: so the limits that count are
        those from then until now, and the next one, which the figures of a look may tell too late."""
        found = []
        for i, look in enumerate(self.looks):
            first = i
            while first > 0 and self.looks[first].at > look.at - deadline_s - SCRAPE_S:
                first -= 1
            allowed = max(known.limit for known in self.looks[first:i + 2])
            found.append((look.in_flight, allowed))
        return max(found, key=lambda pair: pair[0] - pair[1])

    def goodput(self):
        return sum(tenant.in_time for tenant in self.tenants.values()) / self.seconds

    def accepted_ms(self):
        return sorted(ms for tenant in self.tenants.values() for ms in tenant.latencies_ms)

    def quantile_ms(self, q):
        accepted = self.accepted_ms()
        if not accepted:
            return math.inf
        return accepted[max(0, math.ceil(q * len(accepted)) - 1)]

    def missed_share(self):
        return sum(tenant.missed for tenant in self.tenants.values()) / max(1, len(self.accepted_ms()))

    def memory_mib(self, name, share):
        """Median of a tenth of the stretch around `share` of it."""
        samples = self.memory[name]
        half = max(1, len(samples) // 20)
        middle = min(max(half, int(share * len(samples))), len(samples) - half)
        return statistics.median(samples[middle - half:middle + half]) / 2**20


def tell(requests, begin, end, deadline_ms):
    tenant = Tenant()
    for request in requests:
        if "due" not in request or not begin <= request["due"] < end:
            continue
        tenant.asked += 1
        code = request["code"]
        tenant.codes[code] = tenant.codes.get(code, 0) + 1
        if code == "RESOURCE_EXHAUSTED":
            tenant.refused += 1
        elif code == "OK" and request["ms"] <= deadline_ms:
            tenant.in_time += 1
            tenant.latencies_ms.append(request["ms"])
        elif code != "NOT_SENT":
            tenant.missed += 1
            tenant.latencies_ms.append(math.inf)
    return tenant


def look_at(gateway):
    return Look(time.monotonic(), gateway.sum("penstock_gateway_queued_requests"),
                gateway.sum("penstock_gateway_in_flight_requests"),
                # None: it was never lowered.
                gateway.max("penstock_gateway_concurrency_limit") or MAX_IN_FLIGHT)


def run(platform, rates, *, seconds, deadline_ms, skip_s=0, seed=1):
    """`rates`: requests a second by tenant, open loop. What was due in the first `skip_s` does not count."""
    loads = {tenant: platform.load(tenant, deadline_ms=deadline_ms, rate=rate, duration_s=seconds,
                                   seed=seed + number)
             for number, (tenant, rate) in enumerate(rates.items())}
    before = {name: usage_of(service.pid).cpu_seconds for name, service in platform.services.items()}
    cpu, generators = dict(before), {}
    memory = {name: [] for name in platform.services}
    looks, at_expert = [], 0
    sheds_before = sheds_of(scrape(platform.gateway.metrics))
    sheds = sheds_before
    while any(load.running() for load in loads.values()):
        gateway, expert = scrape(platform.gateway.metrics), scrape(platform.expert.metrics)
        looks.append(look_at(gateway))
        at_expert = max(at_expert, expert.sum("penstock_expert_queue_depth"))
        sheds = sheds_of(gateway)
        for name, service in platform.services.items():
            usage = usage_of(service.pid)
            cpu[name] = usage.cpu_seconds
            memory[name].append(usage.resident_bytes)
        for tenant, load in loads.items():
            try:
                generators[tenant] = usage_of(load.pid).cpu_seconds
            except ProcessLookupError:
                pass  # it has ended; what it took up to the last look counts
        time.sleep(SCRAPE_S)
    tenants = {}
    for tenant, load in loads.items():
        load.result()
        told = load.requests()
        first = min(request["due"] for request in told if "due" in request)
        tenants[tenant] = tell(told, first + skip_s, first + seconds, deadline_ms)
    cpu_seconds = {name: cpu[name] - before[name] for name in before}
    cpu_seconds["generator"] = sum(generators.values())
    return Figures(seconds - skip_s, tenants, cpu_seconds, memory, looks, at_expert,
                   {reason: sheds[reason] - sheds_before.get(reason, 0) for reason in sheds},
                   os.getloadavg()[0])


def sheds_of(gateway):
    """Of all pools, by reason."""
    sheds = {}
    for labels, value in gateway.each("penstock_gateway_sheds_total"):
        sheds[labels["reason"]] = sheds.get(labels["reason"], 0) + value
    return sheds
