#!/usr/bin/env python3
"""Draws what `cargo bench --bench surprise` printed: `curve.py < surprise.txt > surprise.svg`.

A panel a month: how many of the planted acts are found (upward) at the price of how many benign sessions in 10,000 benign events (to the
right, logarithmic), for each threshold. Good is above and to the left. Nothing benign at all is drawn at the left edge.
"""

import math
import re
import sys
from html import escape

WIDTH, HEIGHT, LEFT, TOP = 420, 300, 56, 48
LEAST, MOST = 0.05, 500.0
CURVES = [
    ("surprise, weighted by impact", "surprise in bits, weighted by impact", "#0b6e4f", ""),
    ("surprise, unweighted bits", "surprise in bits", "#3a86c8", "6 3"),
    ("baseline: at least so many first-seen (actor, operation)", "first seen (actor, operation)", "#c0392b", "2 3"),
    ("baseline: at least so many first-seen (actor, verb", "first seen, by six fields", "#8e44ad", "8 3 2 3"),
]
ROW = re.compile(r"^\s+([\d.]+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)$")


def months(lines):
    """Name and, by curve, the (benign in 10,000, recall) of each threshold."""
    found, rows = [], None
    for line in lines:
        if " by " in line and "tsv" in line:
            found.append((line.split(" by ")[0].rsplit("/", 1)[-1].strip(), {}))
        elif match := ROW.match(line):
            if rows is not None:
                rows.append((float(match[6]), float(match[5])))
        else:
            place = next((place for place, curve in enumerate(CURVES) if line.startswith(curve[0])), None)
            rows = found[-1][1].setdefault(place, []) if place is not None else rows
    return found


def across(noise):
    share = math.log(max(noise, LEAST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - 20)


def down(recall):
    return TOP + (1 - recall) * (HEIGHT - TOP - 50)


def text(x, y, words, anchor="start", size=11):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def panel(name, curves):
    bottom, right = down(0), across(MOST)
    parts = [text(LEFT, 20, name, size=13), text((LEFT + right) / 2, HEIGHT - 8, "benign sessions in 10,000 benign events", "middle")]
    parts.append(f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT:.0f}" height="{bottom - TOP:.0f}" fill="none" stroke="#999"/>')
    for noise in (0.1, 1, 10, 100):
        x = across(noise)
        parts.append(f'<line x1="{x:.0f}" y1="{TOP}" x2="{x:.0f}" y2="{bottom:.0f}" stroke="#ddd"/>' + text(x, bottom + 16, f"{noise:g}", "middle"))
    for recall in (0, 0.25, 0.5, 0.75, 1):
        parts.append(text(LEFT - 6, down(recall) + 4, f"{recall:.0%}", "end"))
    for place, points in curves.items():
        _, _, colour, dash = CURVES[place]
        dots = [(across(noise), down(recall)) for noise, recall in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
    return parts


def main():
    found = months(sys.stdin)
    if not found:
        sys.exit("curve.py: nothing that `cargo bench --bench surprise` prints came in")
    width, height = WIDTH * len(found), HEIGHT + 24 + 18 * len(CURVES)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">')
    print('<rect width="100%" height="100%" fill="white"/>')
    for place, (name, curves) in enumerate(found):
        print(f'<g transform="translate({place * WIDTH} 0)">', *panel(f"acts found, {name}", curves), "</g>", sep="\n")
    for place, (_, title, colour, dash) in enumerate(CURVES):
        y = HEIGHT + 20 + 18 * place
        print(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + 36}" y2="{y}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        print(text(LEFT + 44, y + 4, title))
    print("</svg>")


if __name__ == "__main__":
    main()
