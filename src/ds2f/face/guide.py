"""Guide pictures as people have them, brought into the crop that the decoder completes."""

from __future__ import annotations

from threading import Lock

import numpy as np

from ds2f.face.align import canonical_crop, template
from ds2f.face.mtcnn import MTCNN

ALIGNED = 0.08  # of a picture's side: landmarks no farther from the template are in place


class GuideAligner:
    """Loads its detector with the first picture. Any thread may call it; they take turns, as OpenCV's networks carry
    state."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._detector: MTCNN | None = None

    def align(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The canonical crop, `size` pixels wide, of the face in a picture, (height, width, 3) uint8 RGB. Where no face
        is found, as in most that are blurred, or where it lies as it should already, the picture is taken to be that
        crop, whatever its size."""
        with self._turn:
            self._detector = self._detector or MTCNN()
            faces = self._detector.detect(picture)
        if not faces:
            return picture
        height, width = picture.shape[:2]
        off = faces[0].landmarks / (width, height) - template(1)
        return picture if np.abs(off).max() < ALIGNED else canonical_crop(picture, faces[0].landmarks, size)
