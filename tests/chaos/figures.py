"""What requests came to, by when they were due."""

import bisect
import dataclasses
import math


def quantile(values, share):
    """Nearest rank; nan of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


class Requests:
    """Every request of all generators, in the order in which they were due."""

    def __init__(self):
        self._due = []
        self._requests = []

    def add(self, requests):
        merged = sorted([*self._requests, *requests], key=lambda request: request["due"])
        self._requests = merged
        self._due = [request["due"] for request in merged]

    def between(self, start, end):
        return self._requests[bisect.bisect_left(self._due, start):bisect.bisect_left(self._due, end)]


@dataclasses.dataclass
class Figures:
    requests: int
    failed: list  # not OK, and nobody's fault but the platform's
    on_killed_gateway: list  # in flight at a gateway that was killed
    refused: list  # RESOURCE_EXHAUSTED: not accepted
    p50_ms: float
    p99_ms: float
    max_ms: float


def figures(requests, kills=()):
    """`kills`: (address of a gateway, when it was killed)."""
    failed, lost, refused = [], [], []
    for request in requests:
        if request["code"] == "OK":
            continue
        if request["code"] == "RESOURCE_EXHAUSTED":
            refused.append(request)
        elif any(request["target"] == address and request["due"] <= when <= request["ended"]
                 for address, when in kills):
            lost.append(request)
        else:
            failed.append(request)
    answered = [request["ms"] for request in requests if request["code"] == "OK"]
    return Figures(len(requests), failed, lost, refused, quantile(answered, 0.5),
                   quantile(answered, 0.99), max(answered, default=math.nan))
