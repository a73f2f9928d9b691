#!/usr/bin/env bash
# torchmetrics 1.9: the equal error rate of scores that separate two kinds perfectly is 50 %, if the scores are log-odds of
# 17 and more in float32.
#
# binary_eer, binary_roc and their like take scores outside of [0, 1] for logits and put them through a sigmoid, unasked
# and unsaid. PLDA log-likelihood ratios, calibrated log-odds and unnormalised products lie there; above 17 the sigmoid is
# 1 in float32 (above 37 in float64), so all of them are one score, and nothing is left to tell apart. The same scores
# divided by a hundred give 0 %. Where some scores of a system are in [0, 1] (cosines) and others are not, the two are
# treated differently. Scale scores into [0, 1] first, or use scikit-learn's roc_curve, which looks at their order alone.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import binary_auroc, binary_eer

print("torchmetrics", version("torchmetrics"), "torch", version("torch"))
scores = torch.tensor([17.5, 18.0, 19.0, 20.0, 21.0, 22.0, 25.0, 30.0])
same = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
found = [
    round(float(value), 6)
    for value in (
        binary_eer(scores, same),
        binary_auroc(scores, same),
        binary_eer(scores.double(), same),
        binary_eer(3 * scores.double(), same),
        binary_eer(scores / 100, same),
        roc_auc_score(same, scores),
    )
]
names = ("EER, float32", "AUC, float32", "EER, float64", "EER of three times that, float64", "EER of a hundredth",
         "AUC by scikit-learn")
for name, value in zip(names, found):
    print(f"{name:32} {value}")
if found != [0.5, 0.5, 0.0, 0.5, 0.0, 1.0]:
    print("changed")
    sys.exit(1)
PYTHON
