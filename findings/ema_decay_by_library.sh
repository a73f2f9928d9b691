#!/usr/bin/env bash
# ema-pytorch 0.8, diffusers 0.42, PyTorch 2.13: moving averages of weights by the same 0.9999 are of different ages.
#
# Diffusion models are drawn from with an average of their weights, and papers give its decay. How many steps older than
# the model the average is, with everything else at its default (weights that grow by one a step show it):
#
# | decay 0.9999, after | 2,000 | 10,000 | 30,000 steps |
# | --- | --- | --- | --- |
# | torch.optim.swa_utils, get_ema_multi_avg_fn | 1812 | 6320 | 9501 |
# | ema-pytorch, EMA(beta=) | 925 | 3400 | 7786 |
# | diffusers, EMAModel(decay=) | 200 | 1000 | 3000 |
# | diffusers with use_ema_warmup | 150 | 449 | 944 |
#
# PyTorch has no warm-up: after 10,000 steps, 37 % of the average are the weights of the first. The others have three different
# ones; ema-pytorch moreover averages only at each tenth call and leaves beta as it is, so that beyond the warm-up it
# remembers ten times as long: with 0.999, 10,000 steps behind where the others are 1,000. A short training by one library's
# 0.9999 is not comparable with another's; say how many steps, or which share of the training, the average is old.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 ema-pytorch==0.8.3 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")

import torch
from diffusers.training_utils import EMAModel
from ema_pytorch import EMA
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def ages(decay, marks):
    """{library: [steps that its average is behind, at each mark]}, and PyTorch's share of the first step at each."""
    model = torch.nn.Linear(2, 1, bias=False).double()
    weights = list(model.parameters())
    of_torch = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    of_ema = EMA(model, beta=decay)
    plain, warm = (EMAModel(weights, decay=decay, use_ema_warmup=warmup) for warmup in (False, True))
    found = {"torch": [], "ema-pytorch": [], "diffusers": [], "diffusers, warm-up": []}
    first = []
    for step in range(1, max(marks) + 1):
        model.weight.data[:] = torch.tensor([step, step == 1])
        of_torch.update_parameters(model)
        of_ema.update()
        plain.step(weights)
        warm.step(weights)
        if step in marks:
            kept = of_torch.module.weight, of_ema.ema_model.weight, plain.shadow_params[0], warm.shadow_params[0]
            for name, weight in zip(found, kept):
                found[name].append(round(step - float(weight[0, 0])))
            first.append(round(float(of_torch.module.weight[0, 1]), 3))
    return found, first


print("torch", torch.__version__, "diffusers", version("diffusers"), "ema-pytorch", version("ema-pytorch"))
found, first = ages(0.9999, (2_000, 10_000, 30_000))
for name, behind in found.items():
    print(f"0.9999 {name:19} steps behind after 2,000, 10,000 and 30,000: {behind}")
print(f"share of the first step in torch's: {first}")
late, _ = ages(0.999, (60_000,))
print(f"0.999, after 60,000 steps: {late}")
at = {name: behind[1] for name, behind in found.items()}
as_before = (
    at["torch"] > 6 * at["diffusers"]
    and at["torch"] > 1.5 * at["ema-pytorch"]
    and at["ema-pytorch"] > 3 * at["diffusers"]
    and at["diffusers"] > 2 * at["diffusers, warm-up"]
    and first[1] > 0.35
    and late["ema-pytorch"][0] > 8 * late["torch"][0]
)
if not as_before:
    sys.exit("changed")
PYTHON
