#!/usr/bin/env python3
"""Compares scores of the planner with the limits and with the best scores so far.

usage: compare.py FILE.json [--record] < scores.json

FILE holds two objects: `limits`, which must always hold, and `best`, which later scores may not fall behind.
`--record` writes the new scores as `best`. The planner computes the same figures every time, so the only
noise is rounding.
"""
import json
import pathlib
import sys

ROUNDING = 0.005

path = pathlib.Path(sys.argv[1])
record = "--record" in sys.argv[2:]
scores = json.load(sys.stdin)
known = json.loads(path.read_text())
problems, better = [], []


def figures(metric):
    """The figures of a score that must not grow: the mean error, and what else is limited."""
    return {"mean_abs", *known["limits"].get(metric, {})}


for metric, limits in known["limits"].items():
    if metric not in scores:
        problems.append(f"{metric}: not scored")
        continue
    for figure, limit in limits.items():
        if scores[metric][figure] > limit:
            problems.append(f"{metric} {figure}: {scores[metric][figure]} is over its limit {limit}")

for metric, best in known["best"].items():
    new = scores.get(metric)
    if new is None:
        problems.append(f"{metric}: not scored")
    elif new["n"] < best["n"]:
        problems.append(f"{metric}: {new['n']} runs instead of {best['n']}")
    else:
        for figure in sorted(figures(metric)):
            if new[figure] > best[figure] + ROUNDING:
                problems.append(f"{metric} {figure}: {new[figure]} is worse than {best[figure]}")
            elif new[figure] < best[figure] - ROUNDING:
                better.append(f"{metric} {figure}: {new[figure]} is better than {best[figure]}")

if scores["no_json"]:
    problems.append(f"no report for {', '.join(scores['no_json'])}")
must_fail = scores["must_fail"]
if must_fail["caught"] < must_fail["n"]:
    problems.append(f"{must_fail['n'] - must_fail['caught']} runs that must fail are not caught")

if record:
    known["best"] = {metric: entry for metric, entry in scores.items() if isinstance(entry, dict) and "mean_abs" in entry}
    path.write_text(json.dumps(known, indent=1) + "\n")
    print(f"recorded {len(known['best'])} scores in {path}")
for line in better:
    print(f"better: {line}; keep it with --record")
for line in problems:
    print(f"worse: {line}")
sys.exit(1 if problems and not record else 0)
