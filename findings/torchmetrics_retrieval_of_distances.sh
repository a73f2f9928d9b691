#!/usr/bin/env bash
# torchmetrics 1.9: retrieval that is right every time has a recall, MRR and MAP of 0, if its scores are minus the distances.
#
# Recall, precision, MRR and MAP count what has a score of 0 or less as not found, whatever its rank; hit rate, nDCG and
# R-precision of the same package look at the order alone. So faces ranked by minus their distance from a voice, each in
# first place, have a hit rate of 1 and a recall of 0. Log-odds, which are negative for most of a gallery, lose a part: 500
# voices of which 81 % have their face among the first five of 100 have a recall@5 of 35 % and an MRR of 0.35, and of 81 % and
# 0.65 once 200 is added to every score. Cosines seldom lose anything: what is negative there is not near the
# top. Nothing is said, and "recall@5" of one right face is no longer "hit rate@5". Make all scores positive first.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torchmetrics.retrieval import (
    RetrievalHitRate,
    RetrievalMAP,
    RetrievalMRR,
    RetrievalNormalizedDCG,
    RetrievalPrecision,
    RetrievalRecall,
    RetrievalRPrecision,
)

VOICES, FACES, DIMENSIONS, SPREAD = 500, 100, 16, 1.35

print("torchmetrics", version("torchmetrics"), "torch", version("torch"))
torch.manual_seed(0)
faces = torch.randn(FACES, DIMENSIONS, dtype=torch.float64)
whose = torch.arange(VOICES) % FACES
voices = faces[whose] + SPREAD * torch.randn(VOICES, DIMENSIONS, dtype=torch.float64)
right = whose[:, None] == torch.arange(FACES)
asked = torch.arange(VOICES)[:, None].expand(VOICES, FACES)


def measured(scores):
    made = {
        "recall@5": RetrievalRecall(top_k=5),
        "precision@5": RetrievalPrecision(top_k=5),
        "MRR": RetrievalMRR(),
        "MAP": RetrievalMAP(),
        "R-precision": RetrievalRPrecision(),
        "hit rate@5": RetrievalHitRate(top_k=5),
        "nDCG": RetrievalNormalizedDCG(),
    }
    return {name: float(metric(scores.flatten(), right.flatten(), indexes=asked.flatten())) for name, metric in made.items()}


own = torch.cdist(faces[whose], faces)
distance = torch.cdist(voices, faces)
log_odds = torch.logit(torch.softmax(-(distance**2) / (2 * SPREAD**2), 1))
cosine = torch.nn.functional.cosine_similarity(voices[:, None], faces[None], dim=2)
found = {}
for name, scores, shift in (
    ("minus the distance, perfect", -own, 100),
    ("minus the distance", -distance, 100),
    ("log-odds", log_odds, 200),
    ("cosine", cosine, 2),
):
    found[name] = measured(scores), measured(scores + shift)
    for what, values in zip((name, f"   and {shift}"), found[name]):
        print(f"{what:28}", ", ".join(f"{measure} {value:.3f}" for measure, value in values.items()))
heeds = {measure for measure, value in found["minus the distance"][0].items() if value == 0}
shares = [values["recall@5"] for values in found["log-odds"]]
as_before = (
    heeds == {"recall@5", "precision@5", "MRR", "MAP"}
    and found["minus the distance, perfect"][0]["recall@5"] == 0
    and found["minus the distance, perfect"][0]["hit rate@5"] == found["minus the distance, perfect"][1]["recall@5"] == 1
    and shares[0] < 0.5 < 0.8 < shares[1]
)
if not as_before:
    sys.exit("changed")
PYTHON
