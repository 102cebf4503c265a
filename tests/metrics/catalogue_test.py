"""catalogue_test.py BIN_FOLDER FAKE_NVML_FOLDER: docs/metrics.md and what the services tell are the
same.

The platform of tests/observability, in which every part that has metrics is used, and `penstock
serve`. Names, types, helps, labels and their values of every scrape are compared with the page, and
every family of the page has to be told: by each service of its kind as soon as it serves, with what
it needs, or after its first event. For events of bad times there are an overloaded platform, a
killed router and requests that no budget covers (hard_times.py).
"""

import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/observability")]
from catalogue import differences, owner_of, read_catalogue  # noqa: E402
from fleet import Fleet, scrape, write_tiny_model  # noqa: E402
from fleet.ports import free_port  # noqa: E402
from hard_times import Overload, degrade, lose_a_router  # noqa: E402
from watched_platform import WatchedPlatform  # noqa: E402

KINDS = ("gateway", "router", "expert")
REQUESTS = 60
# A plan is made from 64 requests at least, at each router.
PLANNED_REQUESTS = 240
PATIENCE_S = 40


def owners(name):
    """The kinds of services that tell it."""
    return (owner_of(name),) if owner_of(name) in KINDS else KINDS


class Comparison:
    """Of all scrapes with the page."""

    def __init__(self):
        self.catalogue = read_catalogue()
        self.seen = set()
        self.wrong = []

    def look(self, kind, address):
        samples = scrape(address)
        assert samples.families, f"{kind}: nothing at {address}"
        self.seen |= set(samples.families)
        self.wrong += [text for text in differences(kind, samples, self.catalogue)
                       if text not in self.wrong]
        return samples

    def expect_start(self, kind, address, name):
        """What a service tells from its start is there within moments."""
        wanted = {family for family, known in self.catalogue.items()
                  if known.start == "start" and kind in owners(family)}
        assert len(wanted) > 10, wanted
        until = time.monotonic() + PATIENCE_S
        while missing := wanted - set(self.look(kind, address).families):
            if time.monotonic() > until:
                self.wrong.append(f"{name}: not told from the start: {', '.join(sorted(missing))}")
                return
            time.sleep(0.1)


def every(platform, overload):
    yield from overload.services()
    for kind, services in (("gateway", [platform.gateway]), ("router", platform.routers),
                           ("expert", platform.experts)):
        for service in services:
            yield kind, service


def use(platform):
    """Requests to every pool, a change of the credentials, a router that goes and comes back."""
    loads = [platform.load(pool, rate=20, duration_s=60, arguments=("--count", REQUESTS))
             for pool in ("lone", "explored", "digits", "collapsed", "spent", "kept")]
    loads.append(platform.load("both", rate=40, duration_s=60,
                               arguments=("--count", PLANNED_REQUESTS)))
    keys = json.loads(platform.keys.read_text(encoding="utf-8"))
    keys["keys"].append({"sha256": "0" * 64, "tenant": "another"})
    platform.keys.write_text(json.dumps(keys), encoding="utf-8")
    loads.append(degrade(platform, REQUESTS))
    for load in loads:
        load.result()
    lose_a_router(platform, PATIENCE_S)


def serve(fleet, comparison):
    """`penstock serve` has the families of all three, each at its address."""
    repository = fleet.folder / "served"
    write_tiny_model(repository, "tiny")
    addresses = {kind: f"127.0.0.1:{free_port()}" for kind in KINDS}

    def server(kind):
        return {"metrics": addresses[kind], "drain": {"grace": "0.2s"}}

    # A text: the fleet's own settings of a server are of one service.
    fleet.service(["penstock", "serve"], json.dumps({
        "gateway": {"server": {**server("gateway"), "grpc": "127.0.0.1:0"}, "page": {"http": "off"}},
        "router": {"server": server("router"),
                   "pools": [{"name": "pool", "experts": [{"name": "tiny"}]}]},
        "expert": {"server": server("expert"), "model_repository": str(repository)}}), name="serve")
    for kind, address in addresses.items():
        comparison.expect_start(kind, address, f"penstock serve, {kind}")


def main():
    comparison = Comparison()
    with Fleet(sys.argv[1]) as fleet:
        overload = Overload(fleet, gpus={"LD_LIBRARY_PATH": sys.argv[2]})
        platform = WatchedPlatform(fleet, ROOT)
        for kind, service in every(platform, overload):
            comparison.expect_start(kind, service.metrics, service.name)
        use(platform)
        overload.load.result()
        until = time.monotonic() + PATIENCE_S
        while True:
            for kind, service in every(platform, overload):
                comparison.look(kind, service.metrics)
            missing = set(comparison.catalogue) - comparison.seen
            if not missing or time.monotonic() > until:
                break
            time.sleep(0.5)
        comparison.wrong += [f"docs/metrics.md has {name} (from: "
                             f"{comparison.catalogue[name].start}), which no service told"
                             for name in sorted(missing)]
        serve(fleet, comparison)
        comparison.wrong += fleet.end()
        if comparison.wrong:
            fleet.keep()
    print(f"{len(comparison.catalogue)} families, {len(missing)} of them never told")
    for text in comparison.wrong:
        print(f"error: {text}")
    return 1 if comparison.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
