"""Profiles of experts for token steps, from measurements of the data's calibration/ folder.

Step: the model card's inter-token latency and joules per output token, which are of an H100 and 32 requests at once,
times the course over the batch of measured models of that kind (ML.ENERGY, lm-arena-chat, H100): the median of
latency(b) / latency(32), and of joules per token likewise. Below the smallest measured batch on the line through the
two smallest, of seconds, and of joules a step.
Prefill: Splitwise's prompt times of llama2-70b on four H100 by prompt size, by active parameters per GPU, and never
less than a step of one request. GPUs of a model: as few as hold its weights at 16 bits in 80 GB each: 1, 4 or 8.
"""

import csv
import gzip
import json
import statistics
import sys

CARD_BATCH = 32
BATCHES = (8, 16, 32)
BATCH_LIMIT = 32
PREFILL = ("llama2-70b", "h100-80gb", "4")
PREFILL_BILLIONS, PREFILL_GPUS = 70, 4


def read(path):
    if not path.is_file():
        sys.exit(f"{path} is missing: profiles for token steps are made from it")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def course(rows, moe):
    """-> [(batch, seconds over those at 32, joules per token over those at 32)]."""
    curves = {}
    for row in rows:
        kind = row["architecture"]
        if row["task"] != "lm-arena-chat" or row["gpu_model"] != "H100" or ("MoE" in kind) != moe or "Mamba" in kind:
            continue
        key = (row["model_id"], row["num_gpus"], row["tensor_parallel"], row["expert_parallel"])
        curves.setdefault(key, {})[int(row["max_num_seqs"])] = (
            float(row["median_itl_ms"]), float(row["energy_per_token_joules"]))
    out = []
    for batch in BATCHES:
        ratios = [[c[batch][i] / c[CARD_BATCH][i] for c in curves.values() if batch in c and CARD_BATCH in c]
                  for i in (0, 1)]
        if ratios[0]:
            out.append((batch, statistics.median(ratios[0]), statistics.median(ratios[1])))
    return out


def prefill(rows):
    """-> [(tokens, seconds)] of one prompt."""
    times = {}
    for row in rows:
        if (row["model"], row["hardware"], row["tensor_parallel"]) == PREFILL and row["batch_size"] == "1":
            times.setdefault(int(row["prompt_size"]), []).append(float(row["prompt_time"]) / 1e3)
    return [(tokens, statistics.median(values)) for tokens, values in sorted(times.items())]


def gpus(total_billions):
    return 1 if total_billions <= 40 else 4 if total_billions <= 150 else 8


def profile(name, card, courses, prompt):
    moe = "moe" in card["kind"]
    latency = float(card["median_itl_ms_h100_b32"]) / 1e3
    joules = float(card["joules_per_out_token_h100_b32"])
    steps = [(b, latency * t, joules * e * b) for b, t, e in courses[moe]]
    (b0, t0, e0), (b1, t1, e1) = steps[:2]
    steps.insert(0, (1, t0 - (b0 - 1) * (t1 - t0) / (b1 - b0), e0 - (b0 - 1) * (e1 - e0) / (b1 - b0)))
    scale = float(card["active_params_b"]) / PREFILL_BILLIONS * PREFILL_GPUS / gpus(float(card["total_params_b"]))
    return {
        "name": name, "servers": 1, "batch_limit": BATCH_LIMIT,
        "steps": [{"batch": b, "seconds": round(t, 7), "joules": round(e, 5)} for b, t, e in steps],
        "prefill": [{"tokens": n, "seconds": round(max(t * scale, steps[0][1]), 7)} for n, t in prompt]}


def write(path, data, cards, prepared):
    """YAML (as JSON) for the experts of a prepared set."""
    measured = read(data / "calibration" / "mlenergy_v3_llm.csv.gz")
    prompt = prefill(read(data / "calibration" / "splitwise_perf_model.csv.gz"))
    courses = {moe: course(measured, moe) for moe in (False, True)}
    experts = [profile(m, cards[(prepared["set"], m)], courses, prompt) for m in prepared["models"]]
    path.write_text(json.dumps({"experts": experts}, indent=1), encoding="utf-8")
