"""What the sources do not say in one place: labels, their values, from when each is told."""

CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
         "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE "
         "UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()

# Labels whose values come from configuration or from what is asked for: (what, what bounds them).
OPEN_LABELS = {
    ("gateway", "pool"): ("pool that a router has answered for", "100 and `other`"),
    ("build", "version"): ("version of the program", "1"),
    ("router", "pool"): ("pool of the configuration; requests for another count as `other`",
                         "1000, removed ones included; counters have `other` beyond, gauges none"),
    ("router", "expert"): ("expert of the pool",
                           "10,000, removed ones included; counters have `other` beyond, gauges "
                           "none"),
    ("router", "replica"): ("address of a replica", "64 of an expert"),
    ("router", "tenant"): ("tenant that the budget is of, empty: everybody; of joules, the one "
                           "that a trusted caller names",
                           "1000 budgets, 256 of them shared; of joules 1000 and `other`"),
    ("expert", "model"): ("model that is or was served; requests for another count as `other`",
                          "1000 and `other`"),
    ("expert", "block"): ("block of the model after which rows left, from 0", "the models' exits"),
    ("expert", "version"): ("version of a model that is served", "1000 with their models"),
    ("expert", "gpu_uuid"): ("GPU of the machine, as NVML has it", "the machine's GPUs"),
}

# name without `penstock_`: {label: its values, or "" where OPEN_LABELS has it}; from when.
_POOL = {"pool": ""}
_EXPERT = {"pool": "", "expert": ""}
_MODEL = {"model": ""}
_VERSION = {"model": "", "version": ""}
_GPU = {"gpu_uuid": ""}
_KIND = {"block": ("linear rms_norm gated_mlp gated_attention mean_pool softmax moe embedding labels "
                   "patches shifted_views average_pool gated_linear_attention gated_delta gmu "
                   "adaptive_ffn exit_head").split()}
_BUDGET = {"pool": "", "tenant": "",
           "resource": "joules dollars accelerator_seconds requests".split(),
           "per": "second hour day".split()}
_ANY_BUDGET = {**_BUDGET, "per": [*_BUDGET["per"], "request"]}
_METHOD = {"method": "counter sampled modelled unknown".split()}
_STORE = {"store": ["state", "cache"]}
START = "start"
STORE = "with a store"
SHARED = "with a shared store and a budget"
LOG = "with a decision log"
SHADOW = "with a shadow"
REQUEST = "first request"
GPU = "with a GPU"

FAMILIES = {
    "process_cpu_seconds_total": ({}, START),
    "process_resident_memory_bytes": ({}, START),
    "process_open_fds": ({}, START),
    "build_info": ({"service": "gateway router expert".split(), "version": ""}, START),
    "certificate_expiry_timestamp_seconds": (
        {"use": ("grpc_server grpc_client_ca metrics_server page_server client server_ca").split()},
        "with certificates"),
    "log_suppressed_lines_total": ({}, START),
    "config_reloads_total": ({"result": "applied unchanged refused".split()}, START),
    "config_version": ({}, START),
    "config_applied_timestamp_seconds": ({}, START),
    "tracing_spans_total": ({"result": "exported dropped failed".split()}, START),
    **{f"store_{name}": (_STORE, STORE) for name in (
        "connected", "connections_total", "latency_seconds", "calls_in_flight", "calls_total",
        "failures_total", "timeouts_total", "refusals_total", "disconnected_calls_total")},

    "gateway_accepted_total": ({}, START),
    "gateway_answered_total": ({}, START),
    "gateway_requests_total": ({"pool": "", "code": CODES}, REQUEST),
    "gateway_request_duration_seconds": ({"pool": "", "code": CODES}, REQUEST),
    "gateway_deadlines_total": ({"pool": "", "result": "met missed".split()},
                                "first request with a deadline"),
    "gateway_queue_wait_seconds": ({}, START),
    "gateway_queued_requests": ({}, START),
    "gateway_in_flight_requests": ({}, START),
    "gateway_concurrency_limit": (_POOL, "first change of a pool's limit"),
    "gateway_sheds_total": (
        {"pool": "", "reason": "quota queue_full pushed_out no_time out_of_time deadline".split()},
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
    "router_latency_seconds": ({"pool": "", "code": CODES}, REQUEST),
    "router_deadlines_total": ({"pool": "", "result": "met missed".split()},
                               "first request with a latency budget"),
    "router_refusals_total": (
        {"pool": "", "reason": ("invalid unknown_pool rights not_ready max_in_flight budget "
                                "store_down deadline energy_budget quality no_expert expert_failed "
                                "cancelled internal").split()}, "first request without an answer"),
    "router_predicted_latency_seconds_total": (_EXPERT, "first answer with a prediction"),
    "router_measured_latency_seconds_total": (_EXPERT, "first answer with a prediction"),
    "router_latency_promises_total": ({**_EXPERT, "result": "kept broken".split()},
                                      "first answer with a prediction"),
    "router_predicted_joules_total": (_EXPERT, "first answer with joules"),
    "router_measured_joules_total": ({**_EXPERT, **_METHOD}, "first answer with joules"),
    "router_tenant_joules_total": ({"tenant": "", **_METHOD}, "first request that an expert was "
                                   "asked for"),
    "router_budget_limit": (_ANY_BUDGET, "with a budget"),
    "router_budget_remaining": (_ANY_BUDGET, "with a budget"),
    "router_budget_price": (_ANY_BUDGET, "with a budget"),
    "router_quality_estimate": (_EXPERT, "first window of ten seconds"),
    "router_regret": (_POOL, "first window of ten seconds"),
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
        {"pool": "", "reason": ("first_plan experts_changed budget_changed gate_changed "
                                "costs_drifted period_over").split()}, "first plan"),
    "router_expert_awake": (_EXPERT, "first plan"),
    "router_congestion_gamma": (_POOL, "with a price of load"),
    "router_congestion_gamma_effective": (_POOL, "with a price of load"),
    "router_other_routers": ({}, START),
    "router_others_in_flight_requests": ({}, START),
    "router_balance_loss": (_POOL, "first window of choices"),
    "router_expert_choice_share": (_EXPERT, "first window of choices"),
    "router_expert_gate_share": (_EXPERT, "first window of choices"),
    "router_gate_entropy_nats": (_POOL, "first window of choices"),
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
    "expert_request_duration_seconds": ({"model": "", "code": CODES}, REQUEST),
    "expert_queue_wait_seconds": (_MODEL, START),
    "expert_kernel_seconds_total": (_KIND, START),
    "expert_kernel_bytes_total": (_KIND, START),
    "expert_weights_bytes": (_MODEL, START),
    "expert_model_load_duration_seconds": (_MODEL, START),
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

    "nv_inference_request_failure": (
        {**_VERSION, "reason": "REJECTED CANCELED BACKEND OTHER".split()}, START),
    **{f"nv_{name}": (_VERSION, START) for name in (
        "inference_request_success", "inference_count", "inference_exec_count",
        "inference_pending_request_count", "inference_request_duration_us",
        "inference_queue_duration_us", "inference_compute_input_duration_us",
        "inference_compute_infer_duration_us", "inference_compute_output_duration_us",
        "model_load_duration_secs")},
    **{f"nv_{name}": (_GPU, GPU) for name in (
        "gpu_utilization", "gpu_memory_total_bytes", "gpu_memory_used_bytes", "gpu_power_usage",
        "gpu_power_limit", "energy_consumption")},
    **{f"nv_cpu_{name}": ({}, START) for name in (
        "utilization", "memory_total_bytes", "memory_used_bytes")},
    "penstock:num_requests_waiting": ({}, START),
    "penstock:num_requests_running": ({}, START),
}

# Units that a name's end does not tell.
UNITS = {"nv_gpu_power_usage": "W", "nv_gpu_power_limit": "W", "nv_energy_consumption": "J",
         "nv_model_load_duration_secs": "s", "nv_inference_count": "rows",
         "nv_inference_exec_count": "count", "nv_inference_request_success": "count",
         "nv_inference_request_failure": "count", "nv_inference_pending_request_count": "requests",
         **{f"nv_inference_{part}duration_us": "µs" for part in (
             "request_", "queue_", "compute_input_", "compute_infer_", "compute_output_")},
         "penstock:num_requests_waiting": "requests",
         "penstock:num_requests_running": "requests",
         "router_shared_budget_amount": "of the resource",
         "router_budget_limit": "of the resource", "router_budget_remaining": "of the resource",
         "router_budget_price": "quality/unit", "router_quality_estimate": "quality",
         "router_regret": "quality", "router_gate_entropy_nats": "nats",
         "router_shared_budget_rate": "of the resource/s",
         "router_shared_budget_unsure_total": "of the resource", "expert_batch_rows": "rows",
         "router_congestion_gamma": "noise of choice",
         "router_congestion_gamma_effective": "noise of choice",
         "expert_rows_ended_total": "rows", "router_retry_budget_tokens": "requests",
         "expert_queue_depth": "requests", "expert_in_flight": "requests",
         "router_shadow_squared_error_total": "quality²"}
