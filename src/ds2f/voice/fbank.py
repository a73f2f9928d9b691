"""Log mel energies as Kaldi computes them: what most speaker encoders since x-vectors read."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np

from ds2f.types import SAMPLE_RATE

MEL_BINS = 80


def fbank(clip: np.ndarray, window: str = "povey") -> np.ndarray:
    """Windows of 25 ms each 10 ms, their mean over the clip taken off: (frames, 80) float32.

    clip: (samples,) float32, 16 kHz, in the range that the encoder was trained with; window: Kaldi's name of it.
    """
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = window
    options.mel_opts.num_bins = MEL_BINS
    running = kaldi_native_fbank.OnlineFbank(options)
    running.accept_waveform(SAMPLE_RATE, clip.tolist())
    running.input_finished()
    frames = np.stack([running.get_frame(i) for i in range(running.num_frames_ready)])
    return np.asarray(frames - frames.mean(axis=0), np.float32)
