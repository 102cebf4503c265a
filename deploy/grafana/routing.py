"""Who is asked and why: shares, the gate, quality, prices, predictions, the routing's own cost."""

from panels import Dashboard, Panel, Variable
from queries import ANSWERED, BUDGET, NAMESPACE, POOL, mean, quantile, rate

DISPATCHES = "penstock_router_dispatches_total"
DECISIONS = "penstock_router_requests_total"
SHADOWED = "penstock_router_shadow_decisions_total"
DEADLINES = "penstock_router_deadlines_total"
PROMISES = "penstock_router_latency_promises_total"


def of_experts(metric):
    """A gauge that every router tells alike."""
    return f"max by (pool, expert) ({metric}{{{POOL}}})"


def per_decision(counter, by):
    return (
        f"{rate(counter, POOL, by)} / on (pool) group_left () ({rate(DECISIONS, POOL, 'pool')}"
        " > 0)"
    )


def off(what):
    return f'penstock:measured_per_predicted:ratio_rate10m{{{POOL}, of="{what}"}}'


def an_answer(counter):
    """Of what was promised of an expert, the mean: each such answer is a promise, kept or not."""
    return f"{rate(counter, POOL, 'pool, expert')} / ({rate(PROMISES, POOL, 'pool, expert')} > 0)"


SHARES = [
    Panel(
        "Choices by expert",
        "Share of all routers' choices of the last ten seconds.",
        "percentunit",
        (of_experts("penstock_router_expert_choice_share"), "{{pool}} {{expert}}"),
        most=1,
    ),
    Panel(
        "The gate's probability by expert",
        "Mean over all routers' requests of the last ten seconds. Where choices "
        "differ from it, quality, prices, load or limits decided.",
        "percentunit",
        (of_experts("penstock_router_expert_gate_share"), "{{pool}} {{expert}}"),
        most=1,
    ),
    Panel(
        "Concentration of the gate",
        "With the choices: 0: even over the pool's experts; 1: one expert has all.",
        "percentunit",
        (f"penstock:gate_concentration:ratio{{{POOL}}}", "{{pool}}"),
        most=1,
    ),
    Panel(
        "Entropy of the gate",
        "Of its mean probabilities, in nats: log n where it prefers none of n experts or each as "
        "often, 0 where it is for one alone.",
        "short",
        (f"max by (pool) (penstock_router_gate_entropy_nats{{{POOL}}})", "{{pool}}"),
    ),
    Panel(
        "Decisions",
        "Requests that routers answered, by pool and gRPC code.",
        "reqps",
        (rate(DECISIONS, POOL, "pool, code"), "{{pool}} {{code}}"),
        stacked=True,
    ),
    Panel(
        "Dispatches by expert",
        "Attempts at experts, whatever for.",
        "reqps",
        (rate(DISPATCHES, POOL, "pool, expert"), "{{pool}} {{expert}}"),
        stacked=True,
    ),
    Panel(
        "Dispatches by reason",
        "chosen: by the decision; escalation: a cascade went on; hedge, retry: a second attempt.",
        "reqps",
        (rate(DISPATCHES, POOL, "reason"), "{{reason}}"),
        stacked=True,
    ),
]
DECISIONS_ROW = [
    Panel(
        "Escalations a request",
        "How often a cascade's first answer was not enough.",
        "percentunit",
        (per_decision("penstock_router_escalations_total", "pool"), "{{pool}}"),
    ),
    Panel(
        "Degraded answers",
        "Share of answers that gave something up, by what for: budget, deadline, quality, "
        "expert_failed, store_down.",
        "percentunit",
        (f"penstock:degraded_per_request:ratio_rate5m{{{POOL}}}", "{{pool}} {{reason}}"),
    ),
    Panel(
        "Exploration",
        "Share of requests sent to another expert than the best known, to learn of it.",
        "percentunit",
        (per_decision("penstock_router_explored_total", "pool"), "{{pool}}"),
    ),
    Panel(
        "Price of load",
        "In units of the noise of choice: what `max_utilisation` asks, and what explains the"
        " experts' shares best. The second far above the first: something else than quality"
        " balances the load.",
        "short",
        (f"max by (pool) (penstock_router_congestion_gamma{{{POOL}}})", "{{pool}} asked"),
        (
            f"max by (pool) (penstock_router_congestion_gamma_effective{{{POOL}}})",
            "{{pool}} effective",
        ),
    ),
    Panel(
        "Experts that a plan keeps awake",
        "1: awake, 0: it may sleep.",
        "short",
        (of_experts("penstock_router_expert_awake"), "{{pool}} {{expert}}"),
        most=1,
    ),
    Panel(
        "Plans made",
        "Of admissible experts, by what they were made for.",
        "ops",
        (rate("penstock_router_plans_total", POOL, "pool, reason"), "{{pool}} {{reason}}"),
    ),
]
QUALITY = [
    Panel(
        "Predicted quality by expert",
        "Mean over all requests of the last ten seconds, whoever was chosen.",
        "percentunit",
        (
            f"avg by (pool, expert) (penstock_router_quality_estimate{{{POOL}}})",
            "{{pool}} {{expert}}",
        ),
        most=1,
    ),
    Panel(
        "Regret",
        "Predicted quality that was given up, on the mean, for the sake of budgets, prices, "
        "deadlines and exploration: of the best expert that might run, less the chosen one's.",
        "short",
        (f"avg by (pool) (penstock_router_regret{{{POOL}}})", "{{pool}}"),
    ),
    Panel(
        "Prices of budgets",
        "What a unit of a budget's resource costs a decision, in units of quality; the dearest "
        "router's.",
        "short",
        (
            f"max by (pool, tenant, resource, per) (penstock_router_budget_price{{{POOL}}})",
            BUDGET,
        ),
    ),
    Panel(
        "Squared error of predicted quality",
        "Mean over reported answers of pools that have a shadow: of the files "
        "that serve, and of the shadow's.",
        "short",
        (
            (
                f"{rate('penstock_router_shadow_squared_error_total', POOL, 'pool, files')} / on"
                " (pool) group_left ()"
                f" ({rate('penstock_router_shadow_reports_total', POOL, 'pool')} > 0)"
            ),
            "{{pool}} {{files}}",
        ),
    ),
    Panel(
        "Decisions that the shadow shares",
        "Share of requests for which it would have asked the same experts.",
        "percentunit",
        (
            rate(SHADOWED, POOL + ', agreed="yes"', "pool")
            + f" / ({rate(SHADOWED, POOL, 'pool')} > 0)",
            "{{pool}}",
        ),
        most=1,
    ),
    Panel(
        "Promotions",
        "Shadows that went live in the window shown, by command or by rule.",
        "short",
        (
            f"sum by (pool, by) (increase(penstock_router_promotions_total{{{POOL}}}[$__range]))",
            "{{pool}} {{by}}",
        ),
    ),
    Panel(
        "Concentration of flagged requests",
        "Largest difference of an expert's share between flagged classes and all other requests.",
        "percentunit",
        (f"max by (pool) (penstock_router_concentration_index{{{POOL}}})", "{{pool}}"),
        most=1,
    ),
    Panel(
        "Shortened prompts that change the choice",
        "Requests whose best expert differs when the prompt is cut, a second.",
        "reqps",
        (rate("penstock_router_features_disagree_total", POOL, "pool"), "{{pool}}"),
    ),
    Panel(
        "Answers from the cache",
        "Share of requests to cacheable pools, by who answered: the gateway's memory, the "
        "store, another request's run, a run.",
        "percentunit",
        (
            (
                f"{rate('penstock_gateway_cache_requests_total', POOL, 'pool, source')} / on"
                " (pool) group_left ()"
                f" ({rate('penstock_gateway_cache_requests_total', POOL, 'pool')} > 0)"
            ),
            "{{pool}} {{source}}",
        ),
        most=1,
    ),
]
CALIBRATION = [
    Panel(
        "Latency by prediction",
        "What answers took, as a share of what was predicted of the expert: 1 is as predicted.",
        "short",
        (off("latency"), "{{pool}} {{expert}}"),
    ),
    Panel(
        "Joules by prediction",
        "What answers took, as a share of what was predicted of the expert: 1 is as predicted.",
        "short",
        (off("joules"), "{{pool}} {{expert}}"),
    ),
    Panel(
        "Promises kept",
        "Share of answers within the quantile of latency that was promised, by default 0.95; over "
        "half an hour.",
        "percentunit",
        (f"penstock:latency_promises_kept:ratio_rate30m{{{POOL}}}", "{{pool}} {{expert}}"),
        most=1,
    ),
    Panel(
        "Predicted latency",
        "Of experts' answers, on the mean.",
        "s",
        (an_answer("penstock_router_predicted_latency_seconds_total"), "{{pool}} {{expert}}"),
    ),
    Panel(
        "Measured latency",
        "Of the same answers, on the mean.",
        "s",
        (an_answer("penstock_router_measured_latency_seconds_total"), "{{pool}} {{expert}}"),
    ),
    Panel(
        "Measured joules by method",
        "Joules a second reported with answers that had a prediction, by how they are known.",
        "watt",
        (
            rate("penstock_router_measured_joules_total", POOL, "pool, method"),
            "{{pool}} {{method}}",
        ),
        stacked=True,
    ),
    Panel(
        "Predicted joules",
        "Joules a second that the same answers were predicted to take.",
        "watt",
        (rate("penstock_router_predicted_joules_total", POOL, "pool"), "{{pool}}"),
        stacked=True,
    ),
    Panel(
        "Latency budgets met",
        "Share of requests with a latency budget (their own, their class's or their call's) that "
        "routers answered within it.",
        "percentunit",
        (
            rate(DEADLINES, POOL + ', result="met"', "pool")
            + f" / ({rate(DEADLINES, POOL, 'pool')} > 0)",
            "{{pool}}",
        ),
        most=1,
    ),
]
OVERHEAD = [
    Panel(
        "Latency at the router, p99",
        "From a request's arrival at the router to its answer, experts included; refusals and "
        "failures are left out.",
        "s",
        (
            quantile(0.99, "penstock_router_latency_seconds", POOL + ANSWERED, "pool"),
            "{{pool}}",
        ),
    ),
    Panel(
        "Mean time: gateway and router",
        "Of answers. What the gateway adds to the router's time is waiting, identity and one hop.",
        "s",
        (
            mean("penstock_gateway_request_duration_seconds", POOL + ANSWERED, "pool"),
            "{{pool}} gateway",
        ),
        (mean("penstock_router_latency_seconds", POOL + ANSWERED, "pool"), "{{pool}} router"),
    ),
    Panel(
        "CPU of a decision",
        "Seconds that the routing itself takes for a request, without sockets.",
        "s",
        (
            (
                f"{rate('penstock_router_overhead_cpu_seconds_total', POOL, 'pool')} / on (pool) "
                f"({rate(DECISIONS, POOL, 'pool')} > 0)"
            ),
            "{{pool}}",
        ),
    ),
]
DASHBOARD = Dashboard(
    "routing",
    "Routing",
    "Who is asked and why: shares, the gate, quality, prices, shadows, how well predictions fit.",
    [
        Variable("namespace", "namespace", DECISIONS, "Namespace"),
        Variable("pool", "pool", DECISIONS + "{" + NAMESPACE + "}", "Pool"),
    ],
    ("Shares", SHARES),
    ("Decisions", DECISIONS_ROW),
    ("Quality and guards", QUALITY),
    ("What is predicted, and comes", CALIBRATION),
    ("What routing costs", OVERHEAD),
)
