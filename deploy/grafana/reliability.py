"""What is broken, held back or tried again, and what runs out: breakers, refusals, certificates."""

from panels import Dashboard, Panel, Variable
from queries import NAMESPACE, POOL, PROCESS, rate

BREAKERS = "penstock_router_breaker_state"
STORE = "{{instance}} {{store}}"

REPLICAS = [
    Panel(
        "Processes that answer scrapes",
        "1: it does; 0: it is gone, hangs or cannot be reached.",
        "short",
        (f"up{{{PROCESS}}}", "{{job}} {{instance}}"),
        most=1,
    ),
    Panel(
        "Breakers that are not closed",
        "By expert and replica, as the router that minds most sees it: 1 half-open, 2 open.",
        "short",
        (
            f"max by (pool, expert, replica) ({BREAKERS}{{{POOL}}})",
            "{{pool}} {{expert}} {{replica}}",
        ),
        most=2,
    ),
    Panel(
        "Ejected replicas",
        "Outliers, by expert, as the router that minds most sees it.",
        "short",
        (
            f"max by (pool, expert) (penstock_router_ejected_replicas{{{POOL}}})",
            "{{pool}} {{expert}}",
        ),
    ),
    Panel(
        "Breakers opened",
        "By failed requests, in the window shown.",
        "short",
        (
            (
                "sum by (pool, expert)"
                f" (increase(penstock_router_breaker_openings_total{{{POOL}}}[$__range]))"
            ),
            "{{pool}} {{expert}}",
        ),
    ),
    Panel(
        "Ejections",
        "In the window shown, by reason.",
        "short",
        (
            (
                "sum by (pool, expert, reason)"
                f" (increase(penstock_router_ejections_total{{{POOL}}}[$__range]))"
            ),
            "{{pool}} {{expert}} {{reason}}",
        ),
    ),
]
AGAIN = [
    Panel(
        "Retries by result",
        "Attempts that failed: what came of the second one, or why there was none.",
        "reqps",
        (rate("penstock_router_retry_results_total", POOL, "result"), "{{result}}"),
        stacked=True,
    ),
    Panel(
        "Retry budget",
        "Retries that a pool's budget covers now, over all routers.",
        "short",
        (f"sum by (pool) (penstock_router_retry_budget_tokens{{{POOL}}})", "{{pool}}"),
    ),
    Panel(
        "Hedges",
        "Second attempts beside slow ones; refused: there had been enough of them.",
        "reqps",
        (rate("penstock_router_hedges_total", POOL, "outcome"), "{{outcome}}"),
        stacked=True,
    ),
    Panel(
        "Requests sent to a second router",
        "By the gateways, by reason.",
        "reqps",
        (rate("penstock_gateway_retries_total", NAMESPACE, "reason"), "{{reason}}"),
        stacked=True,
    ),
]
DOOR = [
    Panel(
        "Shed",
        "Requests refused for want of room or time, by reason; `quota` is its tenant's own.",
        "reqps",
        (rate("penstock_gateway_sheds_total", POOL, "pool, reason"), "{{pool}} {{reason}}"),
        stacked=True,
    ),
    Panel(
        "Refused by routers",
        "By reason: `invalid`, `unknown_pool`, `rights` and `cancelled` are the callers', `budget` "
        "and `max_in_flight` somebody's setting, the rest are faults.",
        "reqps",
        (rate("penstock_router_refusals_total", POOL, "pool, reason"), "{{pool}} {{reason}}"),
        stacked=True,
    ),
    Panel(
        "Refused by routers, share",
        "Of a pool's requests, by reason.",
        "percentunit",
        (f"penstock:router_refused_per_request:ratio_rate5m{{{POOL}}}", "{{pool}} {{reason}}"),
        most=1,
    ),
    Panel(
        "Waiting for admission, p99",
        "Of requests that were admitted.",
        "s",
        (
            (
                "histogram_quantile(0.99,"
                f" {rate('penstock_gateway_queue_wait_seconds_bucket', NAMESPACE, 'le')})"
            ),
            "waited",
        ),
    ),
    Panel(
        "Limit in flight",
        "Requests of a pool that may be in flight at once, the least over gateways.",
        "short",
        (f"min by (pool) (penstock_gateway_concurrency_limit{{{POOL}}})", "{{pool}}"),
    ),
    Panel(
        "Waiting requests",
        "At each gateway.",
        "short",
        (f"penstock_gateway_queued_requests{{{NAMESPACE}}}", "{{instance}}"),
    ),
]
STORES = [
    Panel(
        "Connected to the store",
        "1: there is a connection.",
        "short",
        (f"penstock_store_connected{{{NAMESPACE}}}", STORE),
        most=1,
    ),
    Panel(
        "Latency of the store",
        "Time to a reply, smoothed over about 16 calls.",
        "s",
        (f"penstock_store_latency_seconds{{{NAMESPACE}}}", STORE),
    ),
    Panel(
        "Calls of the store",
        "That began.",
        "ops",
        (rate("penstock_store_calls_total", NAMESPACE, "instance, store"), STORE),
    ),
    Panel(
        "Failed calls of the store",
        "Of these: ended by their deadline, refused since too many were in flight, "
        "without a connection.",
        "ops",
        (rate("penstock_store_failures_total", NAMESPACE), "all"),
        (rate("penstock_store_timeouts_total", NAMESPACE), "deadline"),
        (rate("penstock_store_refusals_total", NAMESPACE), "too many"),
        (rate("penstock_store_disconnected_calls_total", NAMESPACE), "no connection"),
    ),
    Panel(
        "Shared budgets without the store",
        "Since the store last answered for one.",
        "s",
        (
            (
                "max by (instance, pool, resource)"
                f" (penstock_router_shared_budget_age_seconds{{{POOL}}})"
            ),
            "{{instance}} {{pool}} {{resource}}",
        ),
    ),
    Panel(
        "Spent without a lease",
        "Of shared budgets, in their own unit a second, while the store did not answer.",
        "short",
        (
            rate("penstock_router_shared_budget_unsure_total", POOL, "pool, resource"),
            "{{pool}} {{resource}}",
        ),
    ),
    Panel(
        "The cache's store",
        "Reads and writes of answers, by result.",
        "ops",
        (rate("penstock_gateway_cache_store_calls_total", NAMESPACE, "result"), "{{result}}"),
        stacked=True,
    ),
]
CHANGES = [
    Panel(
        "Configurations read again",
        "In the window shown, by what came of it.",
        "short",
        (
            (
                "sum by (job, result)"
                f" (increase(penstock_config_reloads_total{{{NAMESPACE}}}[$__range]))"
            ),
            "{{job}} {{result}}",
        ),
    ),
    Panel(
        "Configurations that serve",
        "Different ones over the replicas of a job; 1 once a rollout is through.",
        "short",
        (
            (
                'count by (job) (count_values by (job) ("version",'
                f" penstock_config_version{{{NAMESPACE}}}))"
            ),
            "{{job}}",
        ),
    ),
    Panel(
        "Age of the configuration",
        "Since what serves was applied.",
        "s",
        (
            f"time() - penstock_config_applied_timestamp_seconds{{{NAMESPACE}}}",
            "{{job}} {{instance}}",
        ),
    ),
    Panel(
        "Credentials read again",
        "In the window shown, by file and what came of it.",
        "short",
        (
            (
                "sum by (file, result)"
                f" (increase(penstock_gateway_credential_reloads_total{{{NAMESPACE}}}[$__range]))"
            ),
            "{{file}} {{result}}",
        ),
    ),
    Panel(
        "Records of the decision log lost",
        "In the window shown, by kind; and writes that failed.",
        "short",
        (
            (
                "sum by (kind)"
                f" (increase(penstock_router_decision_log_dropped_total{{{NAMESPACE}}}[$__range]))"
            ),
            "{{kind}}",
        ),
        (
            f"sum(increase(penstock_router_decision_log_failures_total{{{NAMESPACE}}}[$__range]))",
            "failed writes",
        ),
    ),
    Panel(
        "Size of the decision log",
        "Of its segments.",
        "bytes",
        (f"penstock_router_decision_log_bytes{{{NAMESPACE}}}", "{{instance}}"),
    ),
]
SERVICES = [
    Panel(
        "Certificates",
        "How long the first of its certificates to expire has left, by what it is used for.",
        "s",
        (
            f"min by (job, use) (penstock:certificate_validity:seconds{{{NAMESPACE}}})",
            "{{job}} {{use}}",
        ),
    ),
    Panel(
        "Versions",
        "Processes by service and version; two versions of one service: an upgrade is under way.",
        "short",
        (
            f"count by (service, version) (penstock_build_info{{{NAMESPACE}}})",
            "{{service}} {{version}}",
        ),
        stacked=True,
    ),
    Panel(
        "Spans",
        "Of traced requests, a second: sent to the collector, dropped since too many waited, failed"
        " since the collector did not take them.",
        "ops",
        (rate("penstock_tracing_spans_total", NAMESPACE, "job, result"), "{{job}} {{result}}"),
        stacked=True,
    ),
    Panel(
        "Lines left out of the log",
        "A second, of events that come oftener than `server.log.max_lines_per_second`.",
        "ops",
        (
            rate("penstock_log_suppressed_lines_total", NAMESPACE, "job, instance"),
            "{{job}} {{instance}}",
        ),
    ),
]
DASHBOARD = Dashboard(
    "reliability",
    "Reliability",
    "Breakers, retries, hedges, refusals, the store, reloads, certificates, versions, traces.",
    [
        Variable("namespace", "namespace", BREAKERS, "Namespace"),
        Variable("pool", "pool", BREAKERS + "{" + NAMESPACE + "}", "Pool"),
    ],
    ("Replicas", REPLICAS),
    ("Second attempts", AGAIN),
    ("The gateway's door", DOOR),
    ("The store", STORES),
    ("Changes and records", CHANGES),
    ("Certificates, versions, traces", SERVICES),
)
