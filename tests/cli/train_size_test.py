#!/usr/bin/env python3
"""`penstock train --text` on 100,000 prompts and 12 experts stays within its memory: train_size_test.py PENSTOCK.

The table is made here: words of a long-tailed vocabulary, prompts of lengths as people write them (median 130
words, one in a hundred above 1,000), a quality and a length of every expert. The bound is on the process's
largest resident set, of which the kernel keeps account.
"""

import itertools
import json
import math
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

ROWS, EXPERTS = 100_000, 12
MOST_KIB = 2 * 1024 * 1024  # half of the 4 GiB that are promised
BAD_ROWS = 3


def write_table(path):
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=2 + min(rank.bit_length(), 14) // 2 + draw.randrange(3)))
             for rank in range(60_000)]
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    taste = [[draw.gauss(0, 1) for _ in range(16)] for _ in range(EXPERTS)]
    with path.open("w") as table:
        for row in range(ROWS):
            length = max(8, min(3000, int(draw.lognormvariate(math.log(130), 0.9))))
            prompt = " ".join(draw.choices(words, cum_weights=weights, k=length))
            kind = row % 16
            told = {}
            for expert in range(EXPERTS):
                right = min(0.97, max(0.03, 0.35 + 0.5 * expert / EXPERTS + 0.15 * taste[expert][kind]))
                tokens = int(draw.lognormvariate(5, 0.8)) + 1
                told[f"expert-{expert:02d}"] = {"quality": int(draw.random() < right), "out_tokens": tokens,
                                                "joules": round(tokens * (0.1 + 0.2 * expert), 3)}
            table.write(json.dumps({"prompt": f"topic{kind} {prompt}", "experts": told}) + "\n")
        for _ in range(BAD_ROWS):
            table.write('{"prompt": 7}\n')


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "outcomes.jsonl"
        write_table(table)
        run = subprocess.run([program, "train", "--text", "--outcomes", str(table), "--output", folder, "--json"],
                             check=True, capture_output=True, text=True)
        peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        report = json.loads(run.stdout)
        assert report["rows"] == ROWS, report["rows"]
        assert report["bad_rows"] == BAD_ROWS, report["bad"]
        assert len(report["experts"]) == EXPERTS, report["experts"]
        (chosen,) = [item for item in report["contenders"] if item["name"] == report["chosen"]]
        assert chosen["gain"] > 0.005, chosen  # the topic tells who is right: something was learnt
        assert (pathlib.Path(folder) / "quality.safetensors").stat().st_size > 0
    print(f"largest resident set {peak_kib / 1024:.0f} MiB, at most {MOST_KIB / 1024:.0f}")
    assert peak_kib <= MOST_KIB, "it takes more memory than it may"


if __name__ == "__main__":
    main()
