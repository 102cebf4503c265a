"""Gated linear attention by PyTorch on one core: what linear_attention_case.cc measures, as PyTorch would be used.

Two ways, of which each size's faster counts: a loop over tokens, and blocks of tokens as batched products with the
gates factored out, exp(b) and exp(-b), for which the case's gates are small enough; blocks of 16 to 128 tokens are
tried. What they compute is checked against each other. Prints JSON rows. Takes the bench program's --rounds.
"""

import argparse
import json
import time

import torch

HEADS = 8


def by_token(q, k, v, decay, state):
    y = torch.empty_like(v)
    for t in range(q.shape[1]):
        state = state * decay[:, t, :, None] + k[:, t, :, None] * v[:, t, None, :]
        y[:, t] = torch.bmm(q[:, t, None, :], state)[:, 0]
    return y


def by_block(q, k, v, g, state, size):
    parts = []
    for begin in range(0, q.shape[1], size):
        block = slice(begin, begin + size)
        b = g[:, block].cumsum(1)
        grown = b.exp()
        q_block = q[:, block] * grown
        scores = torch.bmm(q_block, (k[:, block] * (-b).exp()).transpose(1, 2)).tril_()
        parts.append(torch.baddbmm(torch.bmm(q_block, state), scores, v[:, block]))
        k_left = k[:, block] * (b[:, -1:] - b).exp()
        state = torch.baddbmm(state * grown[:, -1, :, None], k_left.transpose(1, 2), v[:, block])
    return torch.cat(parts, 1)


def best(rounds, run):
    seconds = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds = min(seconds, time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    options, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rows = []
    for d in (64, 128):
        for tokens in (16, 32, 64, 256, 1024):
            q, k, v = (torch.rand(HEADS, tokens, d) * 2 - 1 for _ in range(3))
            q *= d ** -0.5
            g = torch.rand(HEADS, tokens, d) * -0.1
            state = torch.zeros(HEADS, d, d)
            with torch.inference_mode():
                expected = by_token(q, k, v, g.exp(), state)
                forms = {"by token": best(options.rounds, lambda: by_token(q, k, v, g.exp(), state))}
                for size in (16, 32, 64, 128):
                    error = (by_block(q, k, v, g, state, size) - expected).norm() / expected.norm()
                    assert error < 1e-3, f"blocks of {size} are {error:.1e} off"
                    forms[f"blocks of {size}"] = best(options.rounds, lambda: by_block(q, k, v, g, state, size))
            form = min(forms, key=forms.get)
            rows.append({"d": d, "tokens": tokens, "form": form, "seconds": forms[form],
                         "by_token_seconds": forms["by token"]})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
