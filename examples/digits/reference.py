"""The blocks of proto/penstock/config/v1/model.proto in NumPy, written for reading, not for speed.

    python3 reference.py DATA_FOLDER            checks golden.json and measures every model
    python3 reference.py DATA_FOLDER --write    writes golden.json anew first

DATA_FOLDER is what fetch_data.py wrote.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
NAMES = ["linear", "mlp32", "mlp_wide", "moe", "vit_small", "vit_large"]
GOLDEN_IMAGES = 5
GOLDEN_FROM = 15  # every so many held-out images (they come by class)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def rms_norm(x, weight, eps=1e-6):
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps) * weight


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


ACTIVATIONS = {"SWIGLU": silu, "GEGLU_TANH": gelu_tanh, "GEGLU_ERF": gelu_erf}


def linear(x, options, t):
    y = x @ t["weight"].T
    return y + t["bias"] if "bias" in t else y


def norm_block(x, options, t):
    return rms_norm(x, t["weight"], options.get("eps", 1e-6))


def gated_mlp(x, options, t):
    n = rms_norm(x, t["norm"]) if options.get("norm") else x
    act = ACTIVATIONS[options.get("activation", "SWIGLU")]
    y = (act(n @ t["gate"].T) * (n @ t["up"].T)) @ t["down"].T
    return x + y if options.get("residual") else y


def gated_attention(x, options, t):
    rows, positions, d = x.shape
    heads = options["heads"]
    n = rms_norm(x, t["norm"]) if options.get("norm") else x

    def by_head(name):  # [rows, heads, positions, d/heads]
        return (n @ t[name].T).reshape(rows, positions, heads, d // heads).transpose(0, 2, 1, 3)

    q, k, v = by_head("q"), by_head("k"), by_head("v")
    weights = softmax(q @ k.transpose(0, 1, 3, 2) / math.sqrt(d / heads))
    a = (weights @ v).transpose(0, 2, 1, 3)  # [rows, positions, heads, d/heads]
    g = sigmoid(n @ t["gate"].T)
    if t["gate"].shape[0] == d:
        a = a * g.reshape(a.shape)  # element-wise
    else:
        a = a * g[..., None]  # head-wise
    y = a.reshape(rows, positions, d) @ t["o"].T
    return x + y if options.get("residual") else y


def moe(x, options, t):
    shape = x.shape
    x = x.reshape(-1, shape[-1])
    n = rms_norm(x, t["norm"]) if options.get("norm") else x
    p = softmax(n @ t["router"].T)
    chosen = np.argsort(-p, axis=-1, kind="stable")[:, : options["top_k"]]
    y = np.zeros((len(x), t["down"].shape[1]), x.dtype)
    for row in range(len(x)):
        weights = p[row, chosen[row]] / p[row, chosen[row]].sum()
        for e, w in zip(chosen[row], weights):
            y[row] += w * (t["down"][e] @ (silu(t["gate"][e] @ n[row]) * (t["up"][e] @ n[row])))
    if options.get("residual"):
        y = x + y
    return y.reshape(*shape[:-1], -1)


def patches(x, options, t):
    height, width, size, stride = (options[k] for k in ("height", "width", "patch", "stride"))
    image = x.reshape(-1, height, width)
    p = np.stack([
        image[:, top : top + size, left : left + size].reshape(len(image), size * size)
        for top in range(0, height - size + 1, stride)
        for left in range(0, width - size + 1, stride)
    ], axis=1)
    return p @ t["weight"].T + t["bias"] + t["position"] if "weight" in t else p


def average_pool(x, options, t):
    height, width, cell = (options[k] for k in ("height", "width", "cell"))
    image = x.reshape(-1, height // cell, cell, width // cell, cell)
    return image.mean((2, 4)).reshape(len(image), -1)


def shifted_views(x, options):
    """[rows, height*width] -> [rows*shifts, height*width], the shifts of a row one after another."""
    height, width = options["height"], options["width"]
    image = x.reshape(-1, height, width)
    views = []
    for dy, dx in zip(options["shifts"][::2], options["shifts"][1::2]):
        view = np.zeros_like(image)
        view[:, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = image[
            :, max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
        ]
        views.append(view)
    return np.stack(views, 1).reshape(-1, height * width)


BLOCKS = {
    "linear": linear,
    "rms_norm": norm_block,
    "gated_mlp": gated_mlp,
    "gated_attention": gated_attention,
    "mean_pool": lambda x, options, t: x.mean(1),
    "softmax": lambda x, options, t: softmax(x),
    "moe": moe,
    "patches": patches,
    "average_pool": average_pool,
}


def kind_and_options(block):
    ((kind, options),) = block.items()
    return kind, options or {}


def of_block(tensors, index):
    prefix = f"{index}."
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def forward(blocks, tensors, x):
    """The value of the last block before `labels`."""
    views = 1
    for index, block in enumerate(blocks):
        kind, options = kind_and_options(block)
        if kind == "labels":
            break
        if kind == "shifted_views":
            views = len(options["shifts"]) // 2
            x = shifted_views(x, options)
        else:
            x = BLOCKS[kind](x, options, of_block(tensors, index))
    return x.reshape(-1, views, *x.shape[1:]).mean(1) if views > 1 else x


def flops(blocks, tensors):
    """Of one row: 2 per multiply-add of the matrix products, nothing for element-wise work."""
    positions, views, total = 1, 1, 0
    for index, block in enumerate(blocks):
        kind, options = kind_and_options(block)
        t = of_block(tensors, index)
        if kind == "shifted_views":
            views = len(options["shifts"]) // 2
        elif kind == "patches":
            side = [(options[k] - options["patch"]) // options["stride"] + 1 for k in ("height", "width")]
            positions = side[0] * side[1]
            total += 2 * positions * t["weight"].size if "weight" in t else 0
        elif kind == "linear":
            total += 2 * positions * t["weight"].size
        elif kind == "gated_mlp":
            total += 2 * positions * sum(t[k].size for k in ("gate", "up", "down"))
        elif kind == "gated_attention":
            d = t["q"].shape[0]
            total += 2 * positions * sum(t[k].size for k in ("q", "k", "v", "o", "gate"))
            total += 2 * 2 * positions * positions * d
        elif kind == "moe":
            total += 2 * positions * t["router"].size
            total += 2 * positions * options["top_k"] * sum(t[k][0].size for k in ("gate", "up", "down"))
        elif kind == "mean_pool":
            positions = 1
    return total * views


def load(name):
    """Blocks and fp32 tensors of a model of the example."""
    folder = HERE / "models" / name
    config = yaml.safe_load((folder / "config.yaml").read_text())
    tensors = load_file(folder / "1" / "model.safetensors")
    return config["blocks"], {k: t.astype(np.float32) for k, t in tensors.items()}


def read_data(folder, part):
    """Images [n, 784], labels [n] and their indices."""
    folder = Path(folder)
    images = np.fromfile(folder / f"{part}.images.f32", "<f4").reshape(-1, 784)
    labels = np.fromfile(folder / f"{part}.labels.u8", np.uint8)
    return images, labels, json.loads((folder / "index.json").read_text())[part]["indices"]


def answers(model, images):
    """forward() a few images at a time."""
    blocks, tensors = model
    return np.concatenate([forward(blocks, tensors, images[i : i + 50]) for i in range(0, len(images), 50)])


def write_golden(models, images, labels, indices):
    """golden.json: one image that all models read, and those that most of them, but not all, misread."""
    candidates = np.arange(0, len(images), GOLDEN_FROM)
    wrong = sum(
        (answers(model, images[candidates]).argmax(-1) != labels[candidates]).astype(int) for model in models.values()
    )
    order = np.argsort(-(wrong * (wrong < len(models))), kind="stable")
    rows = sorted(int(candidates[c]) for c in [np.argmin(wrong), *order[: GOLDEN_IMAGES - 1]])
    heads = [
        json.dumps({"image_index": indices[r], "heldout_row": r, "label": int(labels[r])}) for r in rows
    ]
    tables = []
    for name, (blocks, tensors) in models.items():
        exact = {k: t.astype(np.float64) for k, t in tensors.items()}
        p = forward(blocks, exact, images[rows].astype(np.float64))
        lines = ",\n".join(f"      {json.dumps([round(float(v), 9) for v in row])}" for row in p)
        tables.append(f'    "{name}": [\n{lines}\n    ]')
    (HERE / "golden.json").write_text(
        '{\n  "images": [\n    ' + ",\n    ".join(heads) + '\n  ],\n  "probabilities": {\n'
        + ",\n".join(tables) + "\n  }\n}\n"
    )


def check_golden(models, images):
    """The largest difference from golden.json in fp32."""
    golden = json.loads((HERE / "golden.json").read_text())
    rows = [image["heldout_row"] for image in golden["images"]]
    return max(
        float(np.abs(answers(models[name], images[rows]) - np.array(p)).max())
        for name, p in golden["probabilities"].items()
    )


def main():
    parser = argparse.ArgumentParser(description="Measures the digits models and checks golden.json.")
    parser.add_argument("data", help="folder that fetch_data.py wrote")
    parser.add_argument("--write", action="store_true", help="write golden.json anew")
    parser.add_argument("--golden-only", action="store_true", help="do not measure the models")
    arguments = parser.parse_args()
    images, labels, indices = read_data(arguments.data, "heldout")
    models = {name: load(name) for name in NAMES}
    if arguments.write:
        write_golden(models, images, labels, indices)
    worst = check_golden(models, images)
    print(f"golden.json: largest difference {worst:.2e}", flush=True)
    if worst > 1e-4:
        sys.exit("golden.json does not agree with the models")
    if arguments.golden_only:
        return
    for name, (blocks, tensors) in models.items():
        accuracy = np.mean(answers((blocks, tensors), images).argmax(-1) == labels)
        parameters = sum(t.size for t in tensors.values())
        cost = flops(blocks, tensors)
        print(f"{name:10} {parameters:8} parameters {cost:10} FLOPs/row {100 * accuracy:6.2f}%", flush=True)


if __name__ == "__main__":
    main()
