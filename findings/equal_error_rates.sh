#!/usr/bin/env bash
# An equal error rate is not one number: five definitions in use, one list of 400 scores rounded to whole numbers,
# 24.4 to 31.5 %; and where a threshold is set after every trial (Kaldi's and NIST's habit, WeSpeaker's too), 15.8 to
# 31.5 % by nothing but the order in which trials of one score stand in the file.
#
# scikit-learn 1.9.1 gives the curve and no rate; what is done with it differs: the crossing of the diagonal (FAME's
# baseline), the false alarms at the nearest corner (CMPC), the larger rate there (voxceleb_trainer). pyannote.metrics
# 4.2.0 averages the four rates round the first threshold at which false alarms outnumber misses. With unrounded scores
# all agree to 0.2 points; papers that print two decimals of scores that were written with few digits do not.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 pyannote.metrics==4.2.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pyannote.metrics.binary_classification import det_curve
from sklearn.metrics import roc_curve

print("scikit-learn", version("scikit-learn"), "pyannote.metrics", version("pyannote.metrics"))


def crossing(alarm, miss):
    """On the diagonal, between the two points beside it."""
    at = int(np.argmax(alarm >= miss))
    a, m = alarm[at - 1 : at + 1], miss[at - 1 : at + 1]
    return a[0] + (m[0] - a[0]) / ((a[1] - m[1]) - (a[0] - m[0])) * (a[1] - a[0])


def after_every_trial(scores, same, order):
    """A threshold between any two trials of the sorted list, those of one score in the order of the list."""
    scores, same = scores[order], same[order]
    same = same[np.argsort(-scores, kind="stable")]
    return crossing(np.append(0, np.cumsum(~same) / (~same).sum()), np.append(1, 1 - np.cumsum(same) / same.sum()))


found = {}
for digits in (9, 1, 0):
    rng = np.random.default_rng(3)
    same = rng.random(400) < 0.4
    scores = np.round(rng.normal(size=400) + 1.5 * same, digits)
    alarm, hit, _ = roc_curve(same, scores)
    miss = 1 - hit
    nearest = np.argmin(abs(miss - alarm))
    rates = {
        "crossing": crossing(alarm, miss),
        "false alarms at the nearest corner": alarm[nearest],
        "larger rate there": max(alarm[nearest], miss[nearest]),
        "pyannote.metrics det_curve": det_curve(same, scores)[3],
        "after every trial, luckiest order": after_every_trial(scores, same, np.argsort(~same, kind="stable")),
        "after every trial, unluckiest order": after_every_trial(scores, same, np.argsort(same, kind="stable")),
    }
    found[digits] = [round(100 * float(rate), 1) for rate in rates.values()]
    print(f"scores rounded to {digits} digits")
    for name, rate in rates.items():
        print(f"  {100 * rate:6.2f} %  {name}")

wanted = {9: [21.1, 21.0, 21.1, 21.1, 21.1, 21.1], 1: [21.1, 19.4, 21.7, 21.5, 19.7, 21.7], 0: [24.4, 31.5, 31.5, 25.1, 15.8, 31.5]}
if found != wanted:
    print("changed:", found)
    sys.exit(1)
PYTHON
