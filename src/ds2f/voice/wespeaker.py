"""Speaker encoders of WeSpeaker (Wang et al., ICASSP 2023, arXiv:2210.17016) as ONNX files.

Source: https://github.com/wenet-e2e/wespeaker/blob/master/docs/pretrained.md; code Apache-2.0, VoxCeleb weights CC BY
4.0. ResNet34-LM: 26 MB, 256-d. Input `feats` (n, frames, 80), output `embs` (n, d). Extra: wespeaker.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
from ds2f.voice.base import unit_rows
from ds2f.voice.fbank import MEL_BINS, fbank


class WeSpeaker:
    """See SpeakerEncoder."""

    licence = "Apache-2.0 code; weights as their file says, CC BY 4.0 for VoxCeleb's"

    def __init__(self, path: str, name: str, device: str = "cpu") -> None:
        """path: of the .onnx file. Raises UserError if it is missing or has other inputs and outputs."""
        runtime = optional("onnxruntime", "wespeaker", "The encoder wespeaker")
        if not Path(path).is_file():
            raise UserError(f"There is no speaker encoder at {path}; download an ONNX file of WeSpeaker and name it.")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # parallelism is over files
        providers = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        available = [p for p in (*providers, "CPUExecutionProvider") if p in runtime.get_available_providers()]
        try:
            self._session = runtime.InferenceSession(path, options, providers=available)
            (given,), (made, *_) = self._session.get_inputs(), self._session.get_outputs()
        except Exception as error:  # noqa: BLE001 - onnxruntime has no common class of errors
            raise UserError(
                f"{path} is not a speaker encoder in WeSpeaker's ONNX format ({first_line(error)})."
            ) from None
        if len(given.shape) != 3 or given.shape[2] != MEL_BINS or not isinstance(made.shape[-1], int):
            raise UserError(
                f"{path} is not a speaker encoder in WeSpeaker's ONNX format: it takes {given.shape} and gives "
                f"{made.shape}, not (n, frames, {MEL_BINS}) and (n, d)."
            )
        self._input, self.dim, self.name = given.name, int(made.shape[-1]), name

    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32.

        One at a time, because a dynamically quantised network rounds all clips of a batch by the largest number among
        them (findings/onnx_quantised_batches.sh).
        """
        runs = [self._session.run(None, {self._input: self._features(clip)[None]})[0] for clip in clips]
        return unit_rows(np.concatenate(runs), clips)

    def _features(self, clip: np.ndarray) -> np.ndarray:
        """(frames, 80) float32, in Kaldi's scale of 16-bit integers."""
        return fbank(clip * 32768.0, "hamming")
