"""A mixture of experts by PyTorch on one core: what kernels_bench.cc measures, as PyTorch would be used.

Prints JSON rows. Takes the bench program's --formats, --rows, --experts, --d, --f and --rounds; knows bf16 and f32.
"""

import argparse
import json
import time

import torch


def run(experts, x):
    for gate_up, down, f in experts:
        h = torch.nn.functional.linear(x, gate_up)
        torch.nn.functional.linear(torch.nn.functional.silu(h[:, :f]) * h[:, f:], down)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--formats", default="bf16,f32")
    parser.add_argument("--rows", default="1,2,4,6,8,13,20,48,91,192")
    parser.add_argument("--experts", type=int, default=16)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--f", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=12)
    options, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rows = []
    for name in options.formats.split(","):
        dtype = {"bf16": torch.bfloat16, "f32": torch.float32}.get(name)
        if dtype is None:
            continue
        scale = options.d ** -0.5
        experts = [((torch.randn(2 * options.f, options.d) * scale).to(dtype),
                    (torch.randn(options.d, options.f) * scale).to(dtype), options.f)
                   for _ in range(options.experts)]
        for count in map(int, options.rows.split(",")):
            x = torch.randn(count, options.d).to(dtype)
            best = float("inf")
            with torch.inference_mode():
                for _ in range(options.rounds):
                    start = time.perf_counter()
                    run(experts, x)
                    best = min(best, time.perf_counter() - start)
            rows.append({"format": name, "rows_per_expert": count, "seconds": best})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
