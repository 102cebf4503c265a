"""How the platform is doing, at a glance: golden signals, deadlines, joules, budgets."""

from panels import Dashboard, Panel, Variable, number
from queries import ANSWERED, BUDGET, NAMESPACE, POOL, PROCESS, quantile, rate

REQUESTS = "penstock_gateway_requests_total"
DURATION = "penstock_gateway_request_duration_seconds"
DEADLINES = "penstock_gateway_deadlines_total"
ERRORS = "penstock:slo_errors_per_request:ratio_rate"
MISSED = "penstock:deadlines_missed:ratio_rate"
ALLOWED = "(1 - scalar(penstock:slo_objective:ratio))"
MAY_MISS = "(1 - scalar(penstock:deadline_objective:ratio))"
WINDOWS = ("5m", "1h", "6h", "3d")
JOULES = "penstock_router_energy_joules_total"
TENANTS = "penstock_router_tenant_joules_total"
ANSWERS = "penstock_router_requests_total"


def platform(ratio, window):
    return f'{ratio}{window}{{{NAMESPACE}, scope="platform"}}'


GOLDEN = [
    number(
        "Requests a second",
        "All that callers asked of the gateways.",
        "reqps",
        rate(REQUESTS, NAMESPACE),
        width=3,
    ),
    number(
        "Answered",
        "Of the last hour's requests that were the platform's to answer; shed ones "
        "count as failed, those that callers got wrong or quotas refused do not count.",
        "percentunit",
        f"1 - {platform(ERRORS, '1h')}",
        steps=[(None, "red"), (0.995, "yellow"), (0.999, "green")],
        width=3,
    ),
    number(
        "Budget of errors left",
        "Of what the objective allows, by the last three days; below 0 the objective is missed.",
        "percentunit",
        f"1 - {platform(ERRORS, '3d')} / {ALLOWED}",
        steps=[(None, "red"), (0, "yellow"), (0.5, "green")],
        width=3,
    ),
    number(
        "Deadlines met",
        "Of the last hour's requests that had a deadline, those with an answer by then.",
        "percentunit",
        f"1 - {platform(MISSED, '1h')}",
        steps=[(None, "red"), (0.95, "yellow"), (0.99, "green")],
        width=3,
    ),
    number(
        "Missed deadlines left",
        "Of what the objective allows, by the last three days; below 0 the objective is missed.",
        "percentunit",
        f"1 - {platform(MISSED, '3d')} / {MAY_MISS}",
        steps=[(None, "red"), (0, "yellow"), (0.5, "green")],
        width=3,
    ),
    number(
        "Latency, p99",
        "From a request's arrival at the gateway to its answer, all pools.",
        "s",
        quantile(0.99, DURATION, NAMESPACE + ANSWERED),
        width=3,
    ),
    number(
        "Watts",
        "Power of all expert services' devices, idle and active, in the last closed window.",
        "watt",
        f"sum(penstock_expert_watts{{{NAMESPACE}}})",
        width=3,
    ),
    number(
        "Joules an answer",
        "What experts took for an answer on the mean; idle watts are nobody's.",
        "joule",
        f"{rate(JOULES, NAMESPACE)} / ({rate(ANSWERS, NAMESPACE + ANSWERED)} > 0)",
        width=3,
    ),
    Panel(
        "Requests by pool",
        "What callers asked; names that no router knows are `other`.",
        "reqps",
        (rate(REQUESTS, POOL, "pool"), "{{pool}}"),
        stacked=True,
    ),
    Panel(
        "Errors by code",
        "Answers that are none, by gRPC code. RESOURCE_EXHAUSTED: quotas, hard budgets and "
        "shedding.",
        "reqps",
        (rate(REQUESTS, POOL + ', code!="OK"', "code"), "{{code}}"),
        stacked=True,
    ),
    Panel(
        "Burn rate",
        "How many times faster than the objective allows errors come: 1 spends a month's budget"
        " in a month, 14.4 in two days.",
        "short",
        *((f"{platform(ERRORS, window)} / {ALLOWED}", f"over {window}") for window in WINDOWS),
    ),
    Panel(
        "Latency by pool, p50",
        "From a request's arrival at the gateway to its answer; refusals and failures are left "
        "out.",
        "s",
        (quantile(0.5, DURATION, POOL + ANSWERED, "pool"), "{{pool}}"),
    ),
    Panel(
        "Latency by pool, p99",
        "From a request's arrival at the gateway to its answer; refusals and failures are left "
        "out.",
        "s",
        (quantile(0.99, DURATION, POOL + ANSWERED, "pool"), "{{pool}}"),
    ),
    Panel(
        "Waiting and in flight",
        "Requests that wait for admission, and those that were admitted and not answered yet.",
        "short",
        (f"sum(penstock_gateway_in_flight_requests{{{NAMESPACE}}})", "in flight"),
        (f"sum(penstock_gateway_queued_requests{{{NAMESPACE}}})", "waiting"),
    ),
]
TIME = [
    Panel(
        "Deadlines met by pool",
        "Share of the requests with a deadline that had an answer by then, as gateways see it.",
        "percentunit",
        (f'1 - {MISSED}5m{{{POOL}, scope="pool"}}', "{{pool}}"),
        most=1,
    ),
    Panel(
        "Requests with a deadline",
        "By whether they had an answer by then.",
        "reqps",
        (rate(DEADLINES, POOL, "result"), "{{result}}"),
        stacked=True,
    ),
    Panel(
        "Burn rate of deadlines",
        "How many times faster than the objective allows deadlines are missed: 1 spends a month's"
        " budget of them in a month, 14.4 in two days.",
        "short",
        *((f"{platform(MISSED, window)} / {MAY_MISS}", f"over {window}") for window in WINDOWS),
    ),
]
ENERGY = [
    Panel(
        "Where the watts go",
        "Joules a second of all expert services: of requests, of no request (warming up), and "
        "what devices take idle.",
        "watt",
        (rate("penstock_expert_active_joules_total", NAMESPACE), "requests"),
        (rate("penstock_expert_unattributed_joules_total", NAMESPACE), "no request"),
        (rate("penstock_expert_idle_joules_total", NAMESPACE), "idle"),
        stacked=True,
    ),
    Panel(
        "Active watts by model",
        "Joules a second that were attributed to a model's requests.",
        "watt",
        (rate("penstock_expert_active_joules_total", NAMESPACE, "model"), "{{model}}"),
        stacked=True,
    ),
    Panel(
        "Joules an answer by pool",
        "What experts took for an answer on the mean, over five minutes; all attempts count.",
        "joule",
        (f"penstock:energy_joules_per_answer:ratio_rate5m{{{POOL}}}", "{{pool}}"),
    ),
    Panel(
        "Watts of the routing itself",
        "The routers' CPU at `watts_per_core`, by pool.",
        "watt",
        (rate("penstock_router_overhead_joules_total", POOL, "pool"), "{{pool}}"),
        stacked=True,
    ),
    Panel(
        "Watts of experts by pool",
        "Joules a second that answers were told, by the pool that asked.",
        "watt",
        (rate(JOULES, POOL, "pool"), "{{pool}}"),
        stacked=True,
    ),
    Panel(
        "Watts by tenant",
        "Joules a second of the experts, all attempts, by who asked; empty: nobody that is known.",
        "watt",
        (rate(TENANTS, NAMESPACE, "tenant"), "{{tenant}}"),
        stacked=True,
    ),
    Panel(
        "Watts by how they are known",
        "Joules a second by method: counter (of the device), sampled (its power), modelled (FLOPs"
        " and bytes).",
        "watt",
        (rate(TENANTS, NAMESPACE, "method"), "{{method}}"),
        stacked=True,
    ),
    Panel(
        "Devices whose joules are counted",
        "Expert services by where their joules come from: a hardware counter, or "
        "a model of FLOPs and bytes.",
        "short",
        (f"sum(penstock_expert_energy_counted{{{NAMESPACE}}})", "counter"),
        (f"sum(1 - penstock_expert_energy_counted{{{NAMESPACE}}})", "modelled"),
        stacked=True,
    ),
]
BUDGETS = [
    Panel(
        "Spent of the open window",
        "Share of the budgets by the hour and the day, by the router that knows most.",
        "percentunit",
        (f"penstock:budget_spent:ratio{{{POOL}}}", BUDGET),
    ),
    Panel(
        "Spent at the window's end",
        "Share of the budget, should it go on at the pace of late: of ten minutes by the hour, of "
        "an hour by the day. Above 1 it does not last.",
        "percentunit",
        (f"penstock:hour_budget_projected:ratio_delta10m{{{POOL}}}", BUDGET),
        (f"penstock:day_budget_projected:ratio_delta1h{{{POOL}}}", BUDGET),
    ),
    Panel(
        "Left of budgets",
        "In the resource's own unit, at the router that has least.",
        "short",
        (
            (
                "min by (pool, tenant, resource, per)"
                f" (penstock_router_budget_remaining{{{POOL}}})"
            ),
            BUDGET,
        ),
    ),
    Panel(
        "Burn of shared budgets",
        "What routers take of a shared budget, in its own unit a second.",
        "short",
        (
            (
                "sum by (pool, tenant, resource, per)"
                f" (penstock_router_shared_budget_rate{{{POOL}}})"
            ),
            BUDGET,
        ),
    ),
    Panel(
        "Requests that budgets do not cover",
        "Share of requests that were refused with RESOURCE_EXHAUSTED, or "
        "answered by less than the best expert for their budget's sake.",
        "percentunit",
        (f"penstock:budget_refused_per_request:ratio_rate5m{{{POOL}}}", "{{pool}}"),
    ),
]
SATURATION = [
    Panel(
        "CPU",
        "Cores' worth of time that processes take.",
        "short",
        (rate("process_cpu_seconds_total", PROCESS, "job, instance"), "{{job}} {{instance}}"),
        width=12,
    ),
    Panel(
        "Resident memory",
        "Of each process.",
        "bytes",
        (f"process_resident_memory_bytes{{{PROCESS}}}", "{{job}} {{instance}}"),
        width=12,
    ),
]
DASHBOARD = Dashboard(
    "overview",
    "Overview",
    "Golden signals, deadlines, joules and watts, budgets.",
    [
        Variable("namespace", "namespace", REQUESTS, "Namespace"),
        Variable("pool", "pool", REQUESTS, "Pool"),
    ],
    ("Golden signals", GOLDEN),
    ("Deadlines", TIME),
    ("Joules and watts", ENERGY),
    ("Budgets", BUDGETS),
    ("Saturation", SATURATION),
)
