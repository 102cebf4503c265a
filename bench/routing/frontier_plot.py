"""Writes frontiers of quality over cost as SVG, without a plotting library."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 460, 56, 130, 34, 44
COLOURS = {"singles": "#222222", "penstock": "#c0392b", "ridge": "#2980b9", "knn40": "#27ae60", "knn100": "#16a085",
           "mlp": "#8e44ad", "mf": "#d35400", "frugal": "#7f8c8d", "automix": "#b7950b", "hybrid": "#5d6d7e"}


def ticks(low, high, about=6):
    step = 10 ** math.floor(math.log10((high - low) / about))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= about)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def write_plot(path, title, curves):
    """`curves`: objects {contender, points: [[cost, quality in %], ...]}; unknown contenders are left out."""
    shown = [curve for curve in curves if curve["contender"] in COLOURS and len(curve["points"]) > 1]
    if not shown:
        return
    costs = [point[0] for curve in shown for point in curve["points"]]
    scores = [point[1] for curve in shown for point in curve["points"]]
    low, high = min(costs), max(costs)
    bottom, top = math.floor(min(scores)), math.ceil(max(scores))

    def x(cost):
        return LEFT + (cost - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(score):
        return HEIGHT - BOTTOM - (score - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{html.escape(title)}: mean score (%) over mean cost</text>']
    for tick in ticks(low, high):
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>'
                   f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks(bottom, top):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#eee"/>'
                   f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for place, curve in enumerate(shown):
        colour = COLOURS[curve["contender"]]
        points = curve["points"] + [[high, curve["points"][-1][1]]]
        line = " ".join(f"{x(cost):.1f},{y(score):.1f}" for cost, score in points)
        wide = 2.5 if curve["contender"] in ("singles", "penstock") else 1.3
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{wide}"/>'
                   f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 14 + 17 * place}" fill="{colour}">'
                   f'{html.escape(curve["contender"])}</text>')
    path.write_text("\n".join(out) + "\n</svg>\n", encoding="utf-8")
