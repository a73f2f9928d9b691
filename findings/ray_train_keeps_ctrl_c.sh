#!/usr/bin/env bash
# Ray Train 2.60: once `fit()` has returned, a ctrl-C does nothing to the program that called it.
#
# The controller of Ray Train sets a handler of SIGINT of its own when it runs in the main thread, and does not put back
# the one that it found. No KeyboardInterrupt is raised any more: a long evaluation after a training cannot be stopped
# by ctrl-C, and `except KeyboardInterrupt` never sees one. Remember signal.getsignal(SIGINT) before fit() and set it
# afterwards.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 "ray[train]==2.60.0" numpy==2.4.6
cat > "$folder/train.py" <<'PYTHON'
import os
import signal
import sys
import time

import ray
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer


def nothing() -> None:
    pass


ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR")
before = signal.getsignal(signal.SIGINT)
TorchTrainer(nothing, scaling_config=ScalingConfig(num_workers=1)).fit()
after = signal.getsignal(signal.SIGINT)
print("ray", ray.__version__)
print("before fit():", before.__qualname__)
print("after fit(): ", after.__qualname__)
met = "nothing"
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
except BaseException as error:
    met = type(error).__name__
print("met by the program at a ctrl-C now:", met)
if met != "nothing" or before is not signal.default_int_handler or after is before:
    print("changed")
    sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/train.py"
