#!/usr/bin/env python3
"""Compares scores of diagnoses with the limits and with the best scores so far.

usage: compare_diagnoses.py FILE.json KIND [--record] < what the scoring program printed

FILE holds `limits`, which must always hold, and `best` by KIND (`plain`, `noise`), which later scores may not fall behind.
The text has a line `missed ID ROOT …` for each failure that was not named first, and ends with the counts as JSON.
"""
import json
import pathlib
import sys

path, kind, record = pathlib.Path(sys.argv[1]), sys.argv[2], "--record" in sys.argv[3:]
lines = sys.stdin.read().strip().splitlines()
counts = json.loads(lines[-1])
missed = [line.split()[1:3] for line in lines if line.startswith("missed ")]
known = json.loads(path.read_text())
limits, best = known["limits"], known["best"].get(kind)
problems = []

cases = counts["cases"]
for name in ("first", "top3"):
    share = counts[name] / cases
    if share < limits[name]:
        problems.append(f"{name}: {share:.3f} is under {limits[name]}")
wrong = counts["confidently_wrong"] / cases
if wrong > limits["confidently_wrong"]:
    problems.append(f"confidently wrong: {wrong:.3f} is over {limits['confidently_wrong']}")
problems += [f"{case} has no cause in its text, and is given one" for case, root in missed if root == "wrapper-only-no-cause"]

if best and cases >= best["cases"]:
    problems += [f"{name}: {counts[name]} is worse than {best[name]}" for name in ("first", "top3") if counts[name] < best[name]]
    if counts["confidently_wrong"] > best["confidently_wrong"]:
        problems.append(f"confidently wrong: {counts['confidently_wrong']} is worse than {best['confidently_wrong']}")
elif best:
    problems.append(f"{cases} cases instead of {best['cases']}")

if record:
    known["best"][kind] = {name: counts[name] for name in ("cases", "first", "top3", "confidently_wrong")}
    path.write_text(json.dumps(known, indent=1) + "\n")
    print(f"recorded {kind} in {path}")
for problem in problems:
    print(f"worse: {kind}: {problem}")
sys.exit(1 if problems and not record else 0)
