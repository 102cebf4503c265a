"""What the sources do not say in one place: labels, their values, from when each is told."""

CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
         "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE "
         "UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()

# Labels whose values come from configuration or from what is asked for: (what, what bounds them).
OPEN_LABELS = {
    ("gateway", "pool"): ("pool that a router has answered for", "100 and `other`"),
    ("router", "pool"): ("pool of the configuration; requests for another count as `other`",
                         "1000 and `other` where requests are counted, else the configuration's "
                         "pools"),
    ("router", "expert"): ("expert of the pool", "the configuration's experts"),
    ("router", "replica"): ("address of a replica", "64 of an expert"),
    ("router", "tenant"): ("tenant that the budget is of; empty: everybody", "256 budgets"),
    ("expert", "model"): ("model that is or was served; requests for another count as `other`",
                          "1000 and `other`"),
    ("expert", "block"): ("block of the model after which rows left, from 0", "the models' exits"),
}

# name without `penstock_`: {label: its values, or "" where OPEN_LABELS has it}; from when.
_POOL = {"pool": ""}
_EXPERT = {"pool": "", "expert": ""}
_MODEL = {"model": ""}
_BUDGET = {"pool": "", "tenant": "",
           "resource": "joules dollars accelerator_seconds requests".split(),
           "per": "second hour day".split()}
_STORE = {"store": ["state", "cache"]}
START = "start"
STORE = "with a store"
SHARED = "with a shared store and a budget"
LOG = "with a decision log"
SHADOW = "with a shadow"
REQUEST = "first request"

FAMILIES = {
    "process_cpu_seconds_total": ({}, START),
    "process_resident_memory_bytes": ({}, START),
    "process_open_fds": ({}, START),
    "config_reloads_total": ({"result": "applied unchanged refused".split()}, START),
    "config_version": ({}, START),
    "config_applied_timestamp_seconds": ({}, START),
    **{f"store_{name}": (_STORE, STORE) for name in (
        "connected", "connections_total", "latency_seconds", "calls_in_flight", "calls_total",
        "failures_total", "timeouts_total", "refusals_total", "disconnected_calls_total")},

    "gateway_accepted_total": ({}, START),
    "gateway_answered_total": ({}, START),
    "gateway_requests_total": ({"pool": "", "code": CODES}, REQUEST),
    "gateway_request_duration_seconds": (_POOL, REQUEST),
    "gateway_queue_wait_seconds": ({}, START),
    "gateway_queued_requests": ({}, START),
    "gateway_in_flight_requests": ({}, START),
    "gateway_concurrency_limit": (_POOL, "first change of a pool's limit"),
    "gateway_sheds_total": (
        {"reason": "quota queue_full pushed_out no_time out_of_time deadline".split()},
        "first refusal"),
    "gateway_retries_total": ({"reason": "unavailable cancelled silent".split()}, "first retry"),
    "gateway_credential_reloads_total": ({"file": "api_keys jwks".split(),
                                          "result": "taken refused".split()},
                                         "first change of a file"),
    "gateway_cache_requests_total": (
        {"pool": "", "source": "local store flight run bypass".split()},
        "first request to a cacheable pool"),
    "gateway_cache_runs_total": ({"pool": "",
                                  "outcome": "kept failed degraded outdated too_large".split()},
                                 "first request to a cacheable pool"),
    "gateway_cache_store_calls_total": (
        {"result": "hit miss written read_failed read_skipped write_failed".split()},
        "first read of the cache's store"),
    "gateway_cache_policy_reads_total": ({"result": "ok failed".split()}, "first answer of a pool"),
    "gateway_cache_evictions_total": ({}, START),
    "gateway_cache_bytes": ({}, START),
    "gateway_cache_entries": ({}, START),
    "gateway_cache_flights": ({}, START),

    "router_accepted_total": ({}, START),
    "router_answered_total": ({}, START),
    "router_requests_total": ({"pool": "", "code": CODES}, REQUEST),
    "router_latency_seconds": (_POOL, START),
    "router_dispatches_total": (
        {**_EXPERT, "reason": "chosen escalation verification retry hedge local".split()}, REQUEST),
    "router_degraded_total": (
        {"pool": "", "reason": "expert_failed deadline quality budget store_down".split()},
        "first degraded answer"),
    "router_energy_joules_total": (_POOL, START),
    "router_overhead_cpu_seconds_total": (_POOL, START),
    "router_overhead_joules_total": (_POOL, START),
    "router_retries_total": (_POOL, START),
    "router_hedges_total": ({"pool": "", "outcome": "won lost refused".split()}, "first hedge"),
    "router_escalations_total": (_POOL, START),
    "router_explored_total": (_POOL, "first exploration"),
    "router_plans_total": (
        {"pool": "", "reason": ["first plan", "experts changed", "budget changed", "gate changed",
                                "costs drifted", "period over"]}, "first plan"),
    "router_expert_awake": (_EXPERT, "first plan"),
    "router_congestion_gamma": (_POOL, "first choice with a price of load"),
    "router_congestion_gamma_effective": (_POOL, "first choice with a price of load"),
    "router_other_routers": ({}, START),
    "router_others_in_flight_requests": ({}, START),
    "router_balance_loss": (_POOL, "first window of choices"),
    "router_expert_choice_share": (_EXPERT, "first window of choices"),
    "router_expert_gate_share": (_EXPERT, "first window of choices"),
    "router_concentration_index": (_POOL, "with guards"),
    "router_features_disagree_total": (_POOL, "with guards"),
    "router_shadow_decisions_total": ({"pool": "", "agreed": "yes no".split()}, SHADOW),
    "router_shadow_reports_total": (_POOL, SHADOW),
    "router_shadow_squared_error_total": ({"pool": "", "files": "live shadow".split()}, SHADOW),
    "router_promotions_total": ({"pool": "", "by": "command rule".split()}, SHADOW),
    "router_breaker_state": ({**_EXPERT, "replica": ""}, START),
    "router_breaker_openings_total": (_EXPERT, START),
    "router_ejected_replicas": (_EXPERT, START),
    "router_ejections_total": ({**_EXPERT, "reason": "success_rate latency".split()}, START),
    "router_retry_results_total": (
        {"pool": "", "result": ("answered failed not_needed no_budget no_replica no_time no_joules "
                                "pushed_back").split()}, START),
    "router_retry_budget_tokens": (_POOL, START),
    "router_shared_budget_amount": (
        {**_BUDGET, "part": "granted returned settled reserved others".split()}, SHARED),
    "router_shared_budget_rate": (_BUDGET, SHARED),
    "router_shared_budget_age_seconds": (_BUDGET, SHARED),
    "router_shared_budget_store_down": (_BUDGET, SHARED),
    "router_shared_budget_unsure_total": (_BUDGET, SHARED),
    "router_decision_log_sequence": ({}, LOG),
    "router_decision_log_bytes": ({}, LOG),
    "router_decision_log_segments": ({}, LOG),
    "router_decision_log_failures_total": ({}, LOG),
    "router_decision_log_dropped_total": ({"kind": "decision event audit".split()}, LOG),

    "expert_accepted_total": ({}, START),
    "expert_answered_total": ({}, START),
    "expert_requests_total": ({"model": "", "code": CODES}, REQUEST),
    "expert_request_duration_seconds": (_MODEL, START),
    "expert_batch_rows": (_MODEL, START),
    "expert_batch_duration_seconds": (_MODEL, START),
    "expert_compute_cpu_seconds_total": (_MODEL, START),
    "expert_rows_ended_total": ({"model": "", "block": ""}, "first row that leaves early"),
    "expert_queue_depth": ({}, START),
    "expert_in_flight": ({}, START),
    "expert_utilization_ratio": ({}, START),
    "expert_reported_joules_total": (_MODEL, START),
    "expert_active_joules_total": (_MODEL, REQUEST),
    "expert_unattributed_joules_total": ({}, START),
    "expert_idle_joules_total": ({}, START),
    "expert_meter_joules_total": ({}, START),
    "expert_correction_joules": ({}, START),
    "expert_watts": ({}, START),
    "expert_energy_counted": ({}, START),
}

# Units that a name's end does not tell.
UNITS = {"router_shared_budget_amount": "of the resource",
         "router_shared_budget_rate": "of the resource/s",
         "router_shared_budget_unsure_total": "of the resource", "expert_batch_rows": "rows",
         "router_congestion_gamma": "noise of choice",
         "router_congestion_gamma_effective": "noise of choice",
         "expert_rows_ended_total": "rows", "router_retry_budget_tokens": "requests",
         "expert_queue_depth": "requests", "expert_in_flight": "requests",
         "router_shadow_squared_error_total": "quality²"}
