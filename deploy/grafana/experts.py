"""Expert services and their devices: load, batches, kernels, time, joules, GPUs."""

from panels import Dashboard, Panel, Variable
from queries import ANSWERED, INSTANCE, NAMESPACE, mean, quantile, rate

REQUESTS = "penstock_expert_requests_total"
LATENCY = "penstock_expert_request_duration_seconds"
BATCH_ROWS = "penstock_expert_batch_rows"
BATCH_TIME = "penstock_expert_batch_duration_seconds"


WAIT = "penstock_expert_queue_wait_seconds"
KERNEL_TIME = "penstock_expert_kernel_seconds_total"
KERNEL_BYTES = "penstock_expert_kernel_bytes_total"


def gauge(metric):
    return (f"{metric}{{{INSTANCE}}}", "{{instance}}")


def of_gpu(metric, legend="{{instance}} {{gpu_uuid}}"):
    return (f"{metric}{{{INSTANCE}}}", legend)


LOAD = [
    Panel(
        "Requests by model",
        "Answered, by gRPC code; CANCELLED: a hedge lost, or the caller left.",
        "reqps",
        (rate(REQUESTS, INSTANCE, "model, code"), "{{model}} {{code}}"),
        stacked=True,
    ),
    Panel(
        "Waiting for a batch",
        "Requests in the queue of each service.",
        "short",
        gauge("penstock_expert_queue_depth"),
    ),
    Panel("In flight", "Requests that wait or run.", "short", gauge("penstock_expert_in_flight")),
    Panel(
        "Utilisation",
        "Share of the workers' time spent on executions.",
        "percentunit",
        gauge("penstock_expert_utilization_ratio"),
        most=1,
    ),
    Panel(
        "Latency by model, p50",
        "From arrival to answer, queue included; refusals and failures are left out.",
        "s",
        (quantile(0.5, LATENCY, INSTANCE + ANSWERED, "model"), "{{model}}"),
    ),
    Panel(
        "Latency by model, p99",
        "From arrival to answer, queue included; refusals and failures are left out.",
        "s",
        (quantile(0.99, LATENCY, INSTANCE + ANSWERED, "model"), "{{model}}"),
    ),
    Panel(
        "Wait for a batch, p50",
        "Of requests that were executed: a part of their latency.",
        "s",
        (quantile(0.5, WAIT, INSTANCE, "model"), "{{model}}"),
    ),
    Panel(
        "Wait for a batch, p99",
        "Of requests that were executed: a part of their latency.",
        "s",
        (quantile(0.99, WAIT, INSTANCE, "model"), "{{model}}"),
    ),
    Panel(
        "Weights in memory",
        "Of all versions of a model that are served, or still answer.",
        "bytes",
        (f"sum by (model) (penstock_expert_weights_bytes{{{INSTANCE}}})", "{{model}}"),
        stacked=True,
    ),
]
BATCHES = [
    Panel(
        "Rows of a batch",
        "Mean rows of an execution.",
        "short",
        (mean(BATCH_ROWS, INSTANCE, "model"), "{{model}}"),
    ),
    Panel(
        "Time of a batch, p99",
        "Of an execution, without the queue.",
        "s",
        (quantile(0.99, BATCH_TIME, INSTANCE, "model"), "{{model}}"),
    ),
    Panel(
        "Rows a second",
        "That ran through a model.",
        "short",
        (rate(f"{BATCH_ROWS}_sum", INSTANCE, "model"), "{{model}}"),
        stacked=True,
    ),
    Panel(
        "Rows that ended early",
        "A second, by the block of the early exit that they took.",
        "short",
        (
            rate("penstock_expert_rows_ended_total", INSTANCE, "model, block"),
            "{{model}} at {{block}}",
        ),
        stacked=True,
    ),
    Panel(
        "CPU inside models",
        "Cores' worth of time of the workers and those who help them.",
        "short",
        (rate("penstock_expert_compute_cpu_seconds_total", INSTANCE, "model"), "{{model}}"),
        stacked=True,
    ),
    Panel(
        "CPU seconds a row",
        "What a row takes inside a model.",
        "s",
        (
            (
                f"{rate('penstock_expert_compute_cpu_seconds_total', INSTANCE, 'model')} / "
                f"({rate(f'{BATCH_ROWS}_sum', INSTANCE, 'model')} > 0)"
            ),
            "{{model}}",
        ),
    ),
]
KERNELS = [
    Panel(
        "Time in kernels",
        "Seconds a second of executions, by kind of block.",
        "short",
        (rate(KERNEL_TIME, INSTANCE, "block"), "{{block}}"),
        stacked=True,
    ),
    Panel(
        "Bytes that kernels move",
        "Over the memory bus, a second: weights that were read and values, each once.",
        "Bps",
        (rate(KERNEL_BYTES, INSTANCE, "block"), "{{block}}"),
        stacked=True,
    ),
    Panel(
        "Bytes a second of a kernel's time",
        "What a kind of block moves while it runs. Near the memory's own rate the memory bounds it;"
        " far below, the arithmetic does.",
        "Bps",
        (
            f"{rate(KERNEL_BYTES, INSTANCE, 'block')} / "
            f"({rate(KERNEL_TIME, INSTANCE, 'block')} > 0)",
            "{{block}}",
        ),
    ),
]
GPUS = [
    Panel(
        "GPU time in use",
        "Share of its time that a GPU computed; there is none of these where there is no GPU.",
        "percentunit",
        of_gpu("nv_gpu_utilization"),
        most=1,
    ),
    Panel(
        "GPU memory",
        "Taken, by whomever, and all of it.",
        "bytes",
        of_gpu("nv_gpu_memory_used_bytes", "{{instance}} {{gpu_uuid}} taken"),
        of_gpu("nv_gpu_memory_total_bytes", "{{instance}} {{gpu_uuid}} all"),
    ),
    Panel(
        "GPU power",
        "What it draws, and the limit that it keeps to. Near that clocks fall, and work takes "
        "longer.",
        "watt",
        of_gpu("nv_gpu_power_usage", "{{instance}} {{gpu_uuid}}"),
        of_gpu("nv_gpu_power_limit", "{{instance}} {{gpu_uuid}} limit"),
    ),
    Panel(
        "GPU joules a second",
        "By its own counter of energy.",
        "watt",
        (
            rate("nv_energy_consumption", INSTANCE, "instance, gpu_uuid"),
            "{{instance}} {{gpu_uuid}}",
        ),
        stacked=True,
    ),
    Panel(
        "CPU time in use",
        "Share of its time that the machine's CPU was busy, whoever with.",
        "percentunit",
        gauge("nv_cpu_utilization"),
        most=1,
    ),
    Panel(
        "Memory of the machine",
        "Taken, by whomever, and all of it.",
        "bytes",
        of_gpu("nv_cpu_memory_used_bytes", "{{instance}} taken"),
        of_gpu("nv_cpu_memory_total_bytes", "{{instance}} all"),
    ),
]
DEVICES = [
    Panel(
        "Watts by service",
        "Power of its device, a GPU or the CPU package, in the last closed window; idle and "
        "active.",
        "watt",
        gauge("penstock_expert_watts"),
        stacked=True,
    ),
    Panel(
        "Active watts by model",
        "Joules a second that were attributed to requests.",
        "watt",
        (rate("penstock_expert_active_joules_total", INSTANCE, "model"), "{{model}}"),
        stacked=True,
    ),
    Panel(
        "Joules a request by model",
        "Active joules an answered request.",
        "joule",
        (
            f"{rate('penstock_expert_active_joules_total', INSTANCE, 'model')} / on (model) "
            f"""({rate(REQUESTS, INSTANCE + ', code="OK"', 'model')} > 0)""",
            "{{model}}",
        ),
    ),
    Panel(
        "Idle share of the joules",
        "What the device takes without work, of all that it takes.",
        "percentunit",
        (
            (
                f"{rate('penstock_expert_idle_joules_total', INSTANCE, 'instance')} / "
                f"({rate('penstock_expert_meter_joules_total', INSTANCE, 'instance')} > 0)"
            ),
            "{{instance}}",
        ),
        most=1,
    ),
    Panel(
        "Where joules come from",
        "1: a hardware counter (NVML, RAPL); 0: a model of FLOPs and bytes.",
        "short",
        gauge("penstock_expert_energy_counted"),
        most=1,
    ),
    Panel(
        "Joules told and attributed",
        "How far what answers were told is from what the meter attributed, over half an "
        "hour, either way.",
        "percentunit",
        (f"penstock:energy_correction:ratio_delta30m{{{INSTANCE}}}", "{{instance}}"),
    ),
]
DASHBOARD = Dashboard(
    "experts",
    "Experts and devices",
    "Expert services: load, batches, kernels, watts and joules, GPUs.",
    [
        Variable("namespace", "namespace", REQUESTS, "Namespace"),
        Variable("instance", "instance", REQUESTS + "{" + NAMESPACE + "}", "Instance"),
    ],
    ("Load", LOAD),
    ("Batches", BATCHES),
    ("Kernels", KERNELS),
    ("Watts and joules", DEVICES),
    ("GPUs and machines", GPUS),
)
