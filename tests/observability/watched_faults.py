"""What makes each alert fire: one fault after the other, and how it is mended."""

import dataclasses
import json
import subprocess
from collections.abc import Callable


# What a request to `hurried` may take; its expert holds it for twice as long.
HURRY_S = 0.001
# Where nobody listens.
NOBODY = "127.0.0.1:1"


def nothing():
    """Of what needs no mending, or was there from the start."""


@dataclasses.dataclass
class Fault:
    """`alerts`: by name, the labels of the series that must be there while the fault is, and must
    not be before; but for those that `may_hold` before, on a busy machine or for an earlier fault.
    `settles`: those of them whose windows are short enough to see that they are gone once it is
    mended.
    """

    what: str
    alerts: dict
    begin: Callable = nothing
    end: Callable = nothing
    may_hold: tuple = ()
    settles: tuple = ()


def all_faults(platform, stranger, load):
    """`load(pool)` starts one that goes on until the end: what is asked of late has no fault that
    could be mended.
    """
    fleet, gateway, router = platform.fleet, platform.gateway, platform.routers[0]
    lone, third = platform.experts[3], platform.experts[2]

    def write(service, **changes):
        service.config.update(changes)
        service.write_config()

    def spoil_router():
        path = router.folder / "config.yaml"
        spoilt = path.read_text(encoding="utf-8").replace('"name": "lone"', '"nmae": "lone"', 1)
        fresh = router.folder / "config.new"
        fresh.write_text(spoilt, encoding="utf-8")
        fresh.rename(path)

    def spoil_keys():
        platform.keys.write_text("keys: [{sha256: none}]\n", encoding="utf-8")

    def restart_third(fault):
        third.stop()
        third.config["fault"] = fault
        third.restart()

    def batch_lone(batching):
        path = platform.repository / "lone/config.yaml"
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("batching:")]
        path.write_text("\n".join([*kept, f"batching: {batching}", ""]), encoding="utf-8")
        lone.stop()
        lone.restart()

    def trace_third(server):
        third.stop()
        third.config["server"].pop("tracing", None)
        third.config["server"].update(server)
        third.restart()

    def pause_routers():
        for each in platform.all_routers():
            each.pause()

    def let_routers_go_on():
        for each in platform.all_routers():
            each.go_on()

    def ask(pool, **options):
        asked.append(platform.load(pool, **options))

    def leave():
        asked.pop().stop()

    def ask_in_a_hurry():
        # A gateway has a pool's name as a label once it was answered.
        platform.load("hurried", arguments=("--count", 5)).result()
        ask("hurried", timeout_s=HURRY_S)

    decisions, away = fleet.folder / "decisions-1", fleet.folder / "decisions-1.away"
    asked = []
    router_job = {"instance": router.metrics}
    of_secured = {"instance": platform.experts[4].metrics, "use": "grpc_server"}
    # The first of all: what others refuse is in the log, too.
    return [
        Fault(
            "a budget of 50 requests that more of them want",
            {
                "PenstockBudgetSpent": {"pool": "spent"},
                "PenstockLogFlood": {"instance": router.metrics},
            },
            lambda: load("spent"),
        ),
        Fault(
            "an expert that is killed",
            {
                "PenstockTargetDown": {"instance": lone.metrics},
                "PenstockErrorBudgetBurnFast": {"scope": "pool", "pool": "lone"},
                "PenstockErrorBudgetBurnSlow": {"scope": "pool", "pool": "lone"},
                "PenstockRouterRefuses": {"pool": "lone"},
            },
            lone.kill,
            lone.restart,
            settles=("PenstockTargetDown",),
        ),
        Fault(
            "budgets that last for a minute",
            {
                "PenstockBudgetBurnsFast": {"pool": "burning", "resource": "requests"},
                "PenstockBudgetExhausted": {"pool": "burning", "resource": "requests"},
            },
            lambda: ask("burning"),
            leave,
        ),
        Fault(
            "deadlines that nobody meets",
            {
                "PenstockDeadlinesMissedFast": {"scope": "pool", "pool": "hurried"},
                "PenstockDeadlinesMissedSlow": {"scope": "pool", "pool": "hurried"},
            },
            ask_in_a_hurry,
            leave,
        ),
        Fault(
            "an expert that takes longer, and fewer joules, than is written of it",
            {
                "PenstockCostModelUncalibrated": {"pool": "guessed", "of": "latency"},
                "PenstockLatencyPromisesBroken": {"pool": "guessed"},
            },
            lambda: ask("guessed"),
            leave,
        ),
        Fault(
            "a certificate of ten days",
            {"PenstockCertificateExpiresSoon": of_secured},
            lambda: platform.show_certificate(10),
        ),
        Fault(
            "a certificate of two days",
            {"PenstockCertificateExpires": of_secured},
            lambda: platform.show_certificate(2),
            lambda: platform.show_certificate(60),
            settles=("PenstockCertificateExpires",),
        ),
        Fault(
            "a process of another version",
            {"PenstockVersionsDiffer": {}},
            stranger.appear,
            stranger.vanish,
            settles=("PenstockVersionsDiffer",),
        ),
        Fault(
            "a collector of traces that is not there",
            {"PenstockTracesLost": {"instance": third.metrics}},
            lambda: trace_third(
                {
                    "tracing": {
                        "collector": {"address": NOBODY},
                        "sample_share": 1,
                        "max_delay": "0.1s",
                        "timeout": "0.5s",
                    }
                }
            ),
            lambda: trace_third({}),
        ),
        Fault(
            "a gate that knows one expert",
            {"PenstockGateCollapse": {"pool": "collapsed"}},
            lambda: load("collapsed"),
        ),
        Fault(
            "a configuration with a wrong field",
            {"PenstockReloadRefused": router_job},
            spoil_router,
            router.write_config,
            settles=("PenstockReloadRefused",),
        ),
        Fault(
            "API keys that are none",
            {"PenstockCredentialsRefused": {"instance": gateway.metrics, "file": "api_keys"}},
            spoil_keys,
            platform.write_keys,
            settles=("PenstockCredentialsRefused",),
        ),
        Fault(
            "room for one request at once",
            {"PenstockShedding": {"pool": "both"}},
            lambda: write(gateway, admission={"max_in_flight": 1, "max_queue": 0}),
            lambda: write(gateway, admission={}),
            may_hold=("PenstockShedding",),
        ),
        Fault(
            "callers who want answers in no time",
            {"PenstockAnswersDegraded": {"pool": "digits", "reason": "deadline"}},
            lambda: ask("digits", rate=30, arguments=("--latency_budget_ms", 0.01)),
            leave,
        ),
        Fault(
            "the folder of a decision log is gone",
            {"PenstockDecisionLogLosesRecords": router_job},
            lambda: decisions.rename(away),
            lambda: away.rename(decisions),
        ),
        Fault(
            "a replica that fails nine requests of ten",
            {
                "PenstockReplicaEjected": {"pool": "explored", "expert": "tiny"},
                "PenstockRetryBudgetEmpty": {"pool": "explored"},
            },
            lambda: restart_third({"hold": "2ms", "fail_share": 0.9}),
            lambda: restart_third({"hold": "2ms"}),
            may_hold=("PenstockRetryBudgetEmpty",),
            settles=("PenstockReplicaEjected",),
        ),
        Fault(
            "an expert that is paused",
            {"PenstockBreakerOpen": {"pool": "lone"}},
            lone.pause,
            lone.go_on,
            settles=("PenstockBreakerOpen",),
        ),
        Fault(
            "Redis hangs",
            {
                "PenstockStoreFailing": {"store": "state"},
                "PenstockBudgetWithoutStore": {"pool": "both"},
            },
            platform.redis.pause,
            platform.redis.go_on,
            may_hold=("PenstockStoreFailing",),
            settles=("PenstockBudgetWithoutStore",),
        ),
        Fault(
            "Redis is down",
            {
                "PenstockStoreDown": {"store": "state"},
                "PenstockCacheStoreDown": {"store": "cache"},
            },
            platform.redis.kill,
            platform.redis.restart,
            settles=("PenstockStoreDown", "PenstockCacheStoreDown"),
        ),
        # Not before the pause of the same expert: who is expected to be slow is hardly asked, and a
        # breaker counts those who are.
        Fault(
            "an expert whose queue has room for one",
            {"PenstockExpertsOverloaded": {"model": "lone"}},
            lambda: batch_lone("{max_queue: 1, max_delay_us: 400000}"),
            lambda: batch_lone("{}"),
        ),
        Fault(
            "both routers are paused",
            {"PenstockNoRouter": {}},
            pause_routers,
            let_routers_go_on,
            settles=("PenstockNoRouter",),
        ),
        Fault(
            "the only gateway is paused",
            {"PenstockNoGateway": {}},
            gateway.pause,
            gateway.go_on,
            settles=("PenstockNoGateway",),
        ),
    ]


def report_answers(platform, count):
    """Asks `both` and reports how good the answers were: what a shadow is compared by."""
    common = ["--target", platform.gateway.grpc, "--api_key_file", platform.key_file]
    command = platform.fleet.binaries / "penstock"
    for _ in range(count):
        asked = subprocess.run(
            [
                command,
                "infer",
                *common,
                "--pool",
                "both",
                "--input",
                "x=[0.1, 0.2, 0.3, 0.4]",
                "--json",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        decision = json.loads(asked.stdout)["parameters"]["penstock_decision_id"]
        subprocess.run(
            [command, "report", *common, "--decision", decision, "--quality", "1"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
