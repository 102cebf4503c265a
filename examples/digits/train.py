#!/usr/bin/env python3
"""Trains, cross-fits and exports the digits experts. For maintainers: nothing runs it at start-up.

    python3 train.py DATA_FOLDER [--only NAME ...]

DATA_FOLDER is what fetch_data.py wrote. For each expert it
  1. trains one copy per fold without that fold's training images, and records what the copy answers
     on them (cross-fitting: an expert is right on nearly every image it has seen, so the router must
     learn from answers on images that the expert has not seen);
  2. trains the expert on all training images and writes models/NAME/;
  3. writes outcomes.jsonl.gz once every expert has its cross-fitted answers.
The held-out images only measure; nothing is chosen by them. Seeds are fixed; float32 sums may differ
between processors, so another machine's weights can differ in the last digits and beyond.
"""

import argparse
import gzip
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from safetensors.numpy import save_file

import fetch_data
import reference

HERE = Path(__file__).resolve().parent
SIDE = 28
CLASSES = 10
PICTURE = {"height": SIDE, "width": SIDE}
NINE_SHIFTS = [v for dy in (0, -1, 1) for dx in (0, -1, 1) for v in (dy, dx)]


def vit(d, heads, f, layers, patch, stride):
    """Blocks of a ViT with gated attention, with the shapes of their tensors."""
    positions = ((SIDE - patch) // stride + 1) ** 2
    blocks = [("patches", {**PICTURE, "patch": patch, "stride": stride}, {
        "weight": (d, patch * patch), "bias": (d,), "position": (positions, d)})]
    for _ in range(layers):
        square = {name: (d, d) for name in "qkvo"}
        blocks.append(("gated_attention", {"heads": heads, "norm": True, "residual": True},
                       {**square, "gate": (heads, d), "norm": (d,)}))
        blocks.append(gated_mlp(d, f))
    return [*blocks, ("rms_norm", {}, {"weight": (d,)}), ("mean_pool", {}, {}), *head(d)]


def gated_mlp(d, f):
    return ("gated_mlp", {"norm": True, "residual": True}, {
        "gate": (f, d), "up": (f, d), "down": (d, f), "norm": (d,)})


def linear(d, o):
    return ("linear", {}, {"weight": (o, d), "bias": (o,)})


def head(d):
    return [linear(d, CLASSES), ("softmax", {}, {}), ("labels", {"names": [str(c) for c in range(CLASSES)]}, {})]


def moe(d, f, experts, top_k):
    return ("moe", {"top_k": top_k, "norm": True, "residual": True}, {
        "router": (experts, d), "gate": (experts, f, d), "up": (experts, f, d), "down": (experts, d, f), "norm": (d,)})


# Training images are shifted by up to `shift` pixels and bent by `warp`: 1 = up to 12 degrees, 12% in size,
# a slant of 0.15 and elastic moves of about 0.9 pixels.
EXPERTS = {
    "linear": {
        "about": "softmax regression on 7x7 means",
        "blocks": [("average_pool", {**PICTURE, "cell": 4}, {}), *head(49)],
        "epochs": 40, "rate": 0.02, "shift": 0.5, "warp": 0.0, "batch": 128, "folds": 5, "max_rows": 256,
    },
    "mlp32": {
        "about": "a linear bottleneck of 32 and one small gated MLP",
        "blocks": [linear(784, 32), gated_mlp(32, 32), *head(32)],
        "epochs": 30, "rate": 0.003, "shift": 0.5, "warp": 0.0, "batch": 128, "folds": 5, "max_rows": 256,
    },
    "mlp_wide": {
        "about": "a wider gated MLP",
        "blocks": [linear(784, 128), gated_mlp(128, 256), *head(128)],
        "epochs": 40, "rate": 0.002, "shift": 0.5, "warp": 0.0, "batch": 128, "folds": 5, "max_rows": 256,
    },
    "moe": {
        "about": "a mixture of 8 SwiGLU experts, 2 at a time",
        "blocks": [linear(784, 64), moe(64, 64, 8, 2), *head(64)],
        "epochs": 40, "rate": 0.002, "shift": 0.5, "warp": 0.0, "batch": 128, "folds": 5, "max_rows": 128,
    },
    "vit_small": {
        "about": "gated-attention ViT, 49 patches, 2 layers",
        "blocks": vit(d=64, heads=4, f=128, layers=2, patch=4, stride=4),
        "epochs": 36, "rate": 0.004, "shift": 2.0, "warp": 0.5, "batch": 128, "folds": 3, "max_rows": 64, "muon": 0.02,
    },
    "vit_large": {
        "about": "gated-attention ViT, 64 overlapping patches, 3 layers, mean of nine shifted views",
        "blocks": [("shifted_views", {**PICTURE, "shifts": NINE_SHIFTS}, {}),
                   *vit(d=128, heads=4, f=128, layers=3, patch=7, stride=3)],
        "epochs": 30, "rate": 0.003, "shift": 2.0, "warp": 0.7, "batch": 64, "folds": 2, "fold_epochs": 24,
        "max_rows": 16, "muon": 0.02,
    },
}


def tensor_shapes(blocks):
    return {f"{i}.{name}": shape for i, (_, _, shapes) in enumerate(blocks) for name, shape in shapes.items()}


def initial(blocks, seed):
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(blocks).items():
        kind = blocks[int(name.split(".")[0])][0]
        last = name.split(".")[1]
        if last == "norm" or kind == "rms_norm":
            value = np.ones(shape)
        elif last == "bias":
            value = np.zeros(shape)
        elif last == "position":
            value = rng.normal(size=shape) * 0.1
        else:
            scale = 0.3 if last in ("o", "down") else 1.0
            value = rng.normal(size=shape) * scale / np.sqrt(shape[-1])
        tensors[name] = value.astype(np.float32)
    return tensors


# --- the blocks in JAX; reference.py has the readable version, and check() compares the two ---


def rms_norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * weight


def apply_block(kind, options, t, x):
    """The block's value, and what it adds to the loss."""
    if kind == "linear":
        return x @ t["weight"].T + t["bias"], 0.0
    if kind == "rms_norm":
        return rms_norm(x, t["weight"]), 0.0
    if kind == "gated_mlp":
        n = rms_norm(x, t["norm"])
        return x + (jax.nn.silu(n @ t["gate"].T) * (n @ t["up"].T)) @ t["down"].T, 0.0
    if kind == "gated_attention":
        rows, positions, d = x.shape
        heads = options["heads"]
        n = rms_norm(x, t["norm"])
        q, k, v = (
            (n @ t[name].T).reshape(rows, positions, heads, d // heads).transpose(0, 2, 1, 3) for name in "qkv"
        )
        weights = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(d / heads).astype(np.float32), -1)
        gate = jax.nn.sigmoid(n @ t["gate"].T)
        a = (weights @ v).transpose(0, 2, 1, 3) * gate[..., None]
        return x + a.reshape(rows, positions, d) @ t["o"].T, 0.0
    if kind == "moe":
        n = rms_norm(x, t["norm"])
        p = jax.nn.softmax(n @ t["router"].T, -1)
        top, chosen = jax.lax.top_k(p, options["top_k"])
        weights = jnp.sum(jax.nn.one_hot(chosen, p.shape[-1]) * (top / top.sum(-1, keepdims=True))[..., None], 1)
        h = jax.nn.silu(jnp.einsum("rd,efd->ref", n, t["gate"])) * jnp.einsum("rd,efd->ref", n, t["up"])
        balance = p.shape[-1] * jnp.sum(jnp.mean(weights > 0, 0) / options["top_k"] * p.mean(0))
        return x + jnp.einsum("ref,eof,re->ro", h, t["down"], weights), 0.01 * balance
    if kind == "patches":
        size, stride = options["patch"], options["stride"]
        starts = np.arange(0, SIDE - size + 1, stride)
        rows = (starts[:, None, None, None] + np.arange(size)[None, None, :, None]) * SIDE
        columns = starts[None, :, None, None] + np.arange(size)[None, None, None, :]
        taken = (rows + columns).reshape(len(starts) ** 2, size * size)
        return x[:, taken] @ t["weight"].T + t["bias"] + t["position"], 0.0
    if kind == "average_pool":
        cell = options["cell"]
        return x.reshape(-1, SIDE // cell, cell, SIDE // cell, cell).mean((2, 4)).reshape(len(x), -1), 0.0
    if kind == "mean_pool":
        return x.mean(1), 0.0
    raise ValueError(kind)


def logits(blocks, tensors, x):
    """What goes into `softmax`, for images as they are (without shifted views)."""
    extra = 0.0
    for index, (kind, options, shapes) in enumerate(blocks):
        if kind == "shifted_views":
            continue
        if kind == "softmax":
            break
        x, more = apply_block(kind, options, {name: tensors[f"{index}.{name}"] for name in shapes}, x)
        extra += more
    return x, extra


# --- training images ---

COARSE = 6
_grid = np.arange(SIDE)[:, None] - np.linspace(0, SIDE - 1, COARSE)[None, :]
SMOOTH = np.exp(-0.5 * (_grid / 4.0) ** 2)
SMOOTH = (SMOOTH / np.sqrt((SMOOTH**2).sum(1, keepdims=True))).astype(np.float32)


def bent(key, images, shift, warp):
    """Each image shifted, turned, scaled, slanted and elastically bent at random (bilinear)."""
    rows = len(images)
    keys = jax.random.split(key, 3)
    u = jax.random.uniform(keys[0], (6, rows, 1, 1), minval=-1.0, maxval=1.0)
    shift_y, shift_x = shift * u[0], shift * u[1]
    angle = np.float32(np.deg2rad(12)) * u[2] * warp
    scale_y, scale_x = 1 + 0.12 * u[3] * warp, 1 + 0.12 * u[4] * warp
    slant = 0.15 * u[5] * warp
    y, x = jnp.meshgrid(jnp.arange(SIDE) - 13.5, jnp.arange(SIDE) - 13.5, indexing="ij")
    elastic = jnp.einsum("yi,krij,xj->kryx", SMOOTH, jax.random.normal(keys[1], (2, rows, COARSE, COARSE)), SMOOTH)
    from_y = scale_y * (jnp.cos(angle) * y + jnp.sin(angle) * x) + shift_y + 13.5 + 0.9 * warp * elastic[0]
    from_x = scale_x * (jnp.cos(angle) * x - jnp.sin(angle) * y + slant * y) + shift_x + 13.5 + 0.9 * warp * elastic[1]
    y0, x0 = jnp.floor(from_y), jnp.floor(from_x)
    fy, fx = from_y - y0, from_x - x0
    padded = jnp.pad(images.reshape(rows, SIDE, SIDE), ((0, 0), (1, 2), (1, 2))).reshape(rows, -1)
    width = SIDE + 3
    # Outside is zero: coordinates are held to a border that is.
    iy = jnp.clip(y0, -1, SIDE).astype(jnp.int32) + 1
    ix = jnp.clip(x0, -1, SIDE).astype(jnp.int32) + 1
    flat = (iy * width + ix).reshape(rows, -1)

    def at(offset):
        return jnp.take_along_axis(padded, flat + offset, 1, mode="promise_in_bounds").reshape(rows, SIDE, SIDE)

    out = (1 - fy) * ((1 - fx) * at(0) + fx * at(1)) + fy * ((1 - fx) * at(width) + fx * at(width + 1))
    return out.reshape(rows, -1)


def orthogonal(m):
    """Muon's step: m with its singular values brought near 1, by five Newton-Schulz iterations."""
    wide = m.shape[0] <= m.shape[1]
    x = m if wide else m.T
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x if wide else x.T) * np.sqrt(max(1.0, m.shape[0] / m.shape[1])).astype(np.float32)


def optimizer(expert, steps):
    def schedule(peak):
        return optax.warmup_cosine_decay_schedule(0.0, peak, max(1, steps // 20), steps, peak * 0.002)

    adam = optax.adamw(schedule(expert["rate"]), b2=0.99, weight_decay=0.02)
    if "muon" not in expert:
        return adam
    muon = optax.chain(
        optax.trace(0.95, nesterov=True),
        optax.stateless(lambda slopes, _: jax.tree.map(orthogonal, slopes)),
        optax.add_decayed_weights(0.02),
        optax.scale_by_learning_rate(schedule(expert["muon"])),
    )

    def which(tensors):
        hidden = {"q", "k", "v", "o", "gate", "up", "down"}
        return {n: "muon" if n.split(".")[1] in hidden and t.shape[0] > 8 else "adam" for n, t in tensors.items()}

    return optax.multi_transform({"muon": muon, "adam": adam}, which)


def train(name, images, labels, seed, note, epochs):
    expert = EXPERTS[name]
    blocks = expert["blocks"]
    batch = expert["batch"]
    per_epoch = len(images) // batch
    steps = epochs * per_epoch
    rule = optimizer(expert, steps)
    tensors = jax.tree.map(jnp.asarray, initial(blocks, seed))
    state = rule.init(tensors)

    def loss_of(tensors, x, y):
        out, extra = logits(blocks, tensors, x)
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean() + extra

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(tensors, state, key, x, y):
        loss, slope = jax.value_and_grad(loss_of)(tensors, bent(key, x, expert["shift"], expert["warp"]), y)
        change, state = rule.update(slope, state, tensors)
        return optax.apply_updates(tensors, change), state, loss

    rng = np.random.default_rng(seed + 1)
    key = jax.random.key(seed)
    began, losses = time.monotonic(), []
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        for i in range(per_epoch):
            key, now = jax.random.split(key)
            taken = order[i * batch : (i + 1) * batch]
            tensors, state, loss = step(tensors, state, now, images[taken], labels[taken])
        losses.append(float(loss))
        if (epoch + 1) % 10 == 0 or epoch + 1 == epochs:
            print(f"{name} {note}: epoch {epoch + 1}/{epochs} loss {np.mean(losses[-10:]):.4f} "
                  f"({time.monotonic() - began:.0f} s)", flush=True)
    return {n: np.asarray(t) for n, t in tensors.items()}


def rounded(tensors):
    """As stored: fp16. The served model and every measured answer have these values."""
    return {n: t.astype(np.float16).astype(np.float32) for n, t in tensors.items()}


def probabilities(name, tensors, images):
    """The served answer: with the shifted views where the model has them."""
    blocks = EXPERTS[name]["blocks"]
    run = jax.jit(lambda x: jax.nn.softmax(logits(blocks, tensors, x)[0], -1))
    kind, options, _ = blocks[0]
    views = len(options["shifts"]) // 2 if kind == "shifted_views" else 1
    out = []
    for i in range(0, len(images), 100):
        x = images[i : i + 100]
        p = run(reference.shifted_views(x, options) if views > 1 else x)
        out.append(np.asarray(p).reshape(len(x), views, -1).mean(1))
    return np.concatenate(out)


def plain_blocks(name):
    return [{kind: options} for kind, options, _ in EXPERTS[name]["blocks"]]


def config_yaml(name):
    """The model's config.yaml."""
    blocks = EXPERTS[name]["blocks"]
    softmax = next(i for i, (kind, _, _) in enumerate(blocks) if kind == "softmax")
    lines = [
        f"# {name}: {EXPERTS[name]['about']}. Written by train.py.",
        f"name: {name}",
        "inputs:",
        "  - {name: image, datatype: FP32, shape: [784]}",
        "outputs:",
        f"  - {{name: probabilities, datatype: FP32, shape: [10], block: {softmax}}}",
        f"  - {{name: label, datatype: BYTES, shape: [1], block: {len(blocks) - 1}}}",
        "blocks:",
    ]

    def text(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, list):
            return "[" + ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in value) + "]"
        return str(value)

    for kind, options, _ in blocks:
        lines.append(f"  - {kind}: {{" + ", ".join(f"{k}: {text(v)}" for k, v in options.items()) + "}")
    return "\n".join([*lines, "batching:", f"  max_rows: {EXPERTS[name]['max_rows']}", ""])


def export(name, tensors, images, labels):
    folder = HERE / "models" / name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    weights = folder / "1" / "model.safetensors"
    save_file({n: t.astype(np.float16) for n, t in tensors.items()}, weights)
    weights.chmod(0o644)  # save_file leaves it to its owner alone.
    (folder / "config.yaml").write_text(config_yaml(name))
    # What was written is what was trained, by the schema's own reading of it.
    blocks, stored = reference.load(name)
    expected = probabilities(name, rounded(tensors), images[:20])
    difference = float(np.abs(reference.forward(blocks, stored, images[:20]) - expected).max())
    if difference > 1e-4:
        raise SystemExit(f"{name}: exported model differs from the trained one by {difference:.2e}")
    accuracy = np.mean(probabilities(name, rounded(tensors), images).argmax(-1) == labels)
    print(f"{name}: exported, held-out {100 * accuracy:.2f}%, {reference.flops(blocks, stored)} FLOPs/row, "
          f"{sum(t.size for t in stored.values())} parameters", flush=True)


def write_outcomes(data, cache):
    """outcomes.jsonl.gz, one line per training image."""
    images, labels, indices = reference.read_data(data, "train")
    answers = {}
    for name in EXPERTS:
        path = cache / f"{name}.npy"
        if not path.exists():
            print(f"outcomes.jsonl.gz not written: {name} has no cross-fitted answers yet")
            return
        answers[name] = np.load(path)
    cost = {name: reference.flops(*reference.load(name)) for name in EXPERTS}
    lines = []
    for row, index in enumerate(indices):
        experts = {}
        for name, p in answers.items():
            best, second = np.sort(p[row])[::-1][:2]
            experts[name] = {
                "quality": int(p[row].argmax() == labels[row]),
                "confidence": [round(float(best), 5), round(float(second), 5)],
                "flops": cost[name],
            }
        lines.append(json.dumps({"id": index, "input": {"image_index": index}, "experts": experts}))
    data = gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0)
    (HERE / "outcomes.jsonl.gz").write_bytes(data)
    print(f"outcomes.jsonl.gz: {len(lines)} lines, {len(data)} bytes")


def main():
    parser = argparse.ArgumentParser(description="Trains, cross-fits and exports the digits experts.")
    parser.add_argument("data", help="folder that fetch_data.py wrote")
    parser.add_argument("--only", nargs="+", choices=list(EXPERTS), default=list(EXPERTS), help="these experts")
    parser.add_argument("--no-crossfit", action="store_true", help="keep the cross-fitted answers there are")
    parser.add_argument("--no-final", action="store_true", help="keep the exported models there are")
    parser.add_argument("--first-fold-only", action="store_true", help="print the first fold's accuracy and stop")
    arguments = parser.parse_args()
    data = Path(arguments.data)
    images, labels, indices = reference.read_data(data, "train")
    labels = labels.astype(np.int32)
    heldout_images, heldout_labels, _ = reference.read_data(data, "heldout")
    cache = data / "crossfit"
    cache.mkdir(exist_ok=True)
    for number, name in enumerate(EXPERTS):
        if name not in arguments.only:
            continue
        seed = 1000 * (number + 1)
        if not arguments.no_final and not arguments.first_fold_only:
            tensors = train(name, images, labels, seed, "all", EXPERTS[name]["epochs"])
            export(name, tensors, heldout_images, heldout_labels)
        if arguments.no_crossfit:
            continue
        count = EXPERTS[name]["folds"]
        fold = np.array(fetch_data.folds(indices, labels.tolist(), count))
        answers = np.zeros((len(images), CLASSES), np.float32)
        for k in range(count):
            out = fold == k
            epochs = EXPERTS[name].get("fold_epochs", EXPERTS[name]["epochs"])
            tensors = train(name, images[~out], labels[~out], seed + 10 * (k + 1), f"fold {k + 1}/{count}", epochs)
            answers[out] = probabilities(name, rounded(tensors), images[out])
            accuracy = np.mean(answers[out].argmax(-1) == labels[out])
            print(f"{name} fold {k + 1}/{count}: {100 * accuracy:.2f}%", flush=True)
            if arguments.first_fold_only:
                break
        else:
            np.save(cache / f"{name}.npy", answers)
            print(f"{name}: cross-fitted {100 * np.mean(answers.argmax(-1) == labels):.2f}%", flush=True)
    if not arguments.first_fold_only:
        write_outcomes(data, cache)


if __name__ == "__main__":
    main()
