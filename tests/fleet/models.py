"""Models for tests: a linear layer, small enough that its time is the platform's."""

import json
import pathlib
import random
import struct

INPUTS, OUTPUTS = 4, 2

_CONFIG = """inputs: [{{name: x, datatype: FP32, shape: [{inputs}]}}]
outputs: [{{name: y, datatype: FP32, shape: [{outputs}]}}]
blocks: [{{linear: {{}}}}]
batching: {{max_rows: {max_rows}}}
"""


def write_tiny_model(repository, name, max_rows=64, seed=1):
    """A model `x` FP32 [4] -> `y` FP32 [2] under `repository`."""
    folder = pathlib.Path(repository) / name
    (folder / "1").mkdir(parents=True)
    (folder / "config.yaml").write_text(
        _CONFIG.format(inputs=INPUTS, outputs=OUTPUTS, max_rows=max_rows), encoding="utf-8")
    draw = random.Random(seed)
    weights = struct.pack(f"<{INPUTS * OUTPUTS}f",
                          *(draw.uniform(-1, 1) for _ in range(INPUTS * OUTPUTS)))
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": [OUTPUTS, INPUTS],
                                      "data_offsets": [0, len(weights)]}}).encode()
    header += b" " * (-len(header) % 8)
    (folder / "1" / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + weights)


def tiny_input(path, rows=1, seed=1):
    """Writes `rows` inputs of the tiny model to `path`; the `--input` that names it."""
    draw = random.Random(seed)
    values = [draw.uniform(-1, 1) for _ in range(rows * INPUTS)]
    pathlib.Path(path).write_bytes(struct.pack(f"<{len(values)}f", *values))
    return f"x=@{path}"
