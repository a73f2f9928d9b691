"""The fast decoder's training: distillation from the decoder; its task and its job.

The guided decoder, the teacher, carries noise along its path to a picture. The student, initialised as its copy, learns
to jump from each of a few times straight to the next, so that four evaluations draw what took fifteen: progressive
distillation (Salimans & Ho 2022, arXiv:2202.00512) in one round, with guidance included (Meng et al. 2023,
arXiv:2210.03142). A path is deterministic, so the squared error leads to one picture, not to the mean of many.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.recordings import stored_voices
from ds2f.dataset.vectors import read_voices, voiced
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import UNGUIDED, guided
from ds2f.diffusion.noise import normal, uniform, whole
from ds2f.diffusion.samplers import Multistep, euler, multistep, times
from ds2f.errors import UserError
from ds2f.io.images import write_grid
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import Decoder
from ds2f.models.pixels import to_uint8
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT, guidance_of
from ds2f.training.decoder import DecoderTask
from ds2f.training.faces import Faces, load_splits
from ds2f.training.likeness import MOVED
from ds2f.training.processes import own_device
from ds2f.training.start import Job, make_options, place_of
from ds2f.training.warm_start import freeze, start_fast, student_of
from ds2f.types import ACOUSTICS, Progress

TEACHER_STEPS = 8  # at least; the result is as close to the converged picture as 19 evaluations of Heun's method
NOISE = (0.7, 1.0)  # scales of the initial noise, around `SamplingSettings.noise`
VALIDATED = 64  # faces
MOST_HEARD = 20_000  # voices whose identities a prior samples, each with every weight and temperature
HEARD_WEIGHTS, HEARD_TEMPERATURES = (1.0, 2.0, 3.0, 4.0), (0.0, 0.5, 1.0)  # around the defaults of `SamplingSettings`


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`. The decoder in runs/model is the teacher; the student has the same architecture.

    A fast decoder to start from (`fast_from`) must have been taught by a decoder that the teacher descends from.

    database: whose faces, and voices, to draw.
    runs: its fast-decoder/ is for checkpoints; its model/ contains the teacher, and the prior if there is one.
    settings: the voices, device, compile, seed and fast_….
    sample: use only the faces of the validation split, without compiling.
    progress: called while faces are packed.
    Raises UserError for whatever prevents training, such as a missing teacher.
    """
    device, folder = own_device(store.pick_device(settings.device)), runs / "model"
    batch, total = settings.fast_batch, settings.fast_faces
    options = make_options(runs / "fast-decoder", settings, device, batch, total, settings.fast_lr)
    if not (folder / "decoder.json").exists():
        raise UserError(f"There is no decoder in {folder} to learn from; run `ds2f train decoder` first.")
    teacher, taught_by = store.load_decoder(folder), folders.digest(folder, "decoder")
    with Dataset(database) as dataset:
        config = teacher.config
        place = place_of(settings, runs, progress)
        held_out, faces = load_splits(dataset, folder, config.size, settings.voices, config.languages, place, sample)
        heard, fingerprint = heard_identities(dataset, folder), dataset.fingerprint()
    task = DistillationTask(
        teacher,
        faces,
        held_out,
        device,
        settings.fast_steps,
        settings.fast_likeness,
        heard,
        settings.likeness_judges,
        settings.likeness_views,
    )
    freeze(task.model, settings.fast_frozen, "fast_frozen: the decoder")
    if settings.fast_from:
        start = Path(settings.fast_from)
        fast = store.load_fast_decoder(start)
        if fast is None:
            raise UserError(f"[train] fast_from = {settings.fast_from} has no fast decoder taught by its decoder.")
        start_fast(task.model, store.load_decoder(start), fast, settings.fast_frozen)
    if settings.compile and not sample:
        task.model.compile()
        task.teacher.compile()
    card = {"teacher": taught_by, "judges": task.judged_by(folder)}
    return Job(task, replace(options, teacher=taught_by), fingerprint, lambda model: (model, card))


class DistillationTask(DecoderTask):
    """See `loop.Task`: reach in few steps what the teacher reaches in many."""

    def __init__(
        self,
        teacher: Decoder,
        train: Faces,
        validation: Faces,
        device: torch.device,
        steps: int,
        likeness: float = 0.0,
        heard: Tensor | None = None,
        judges: Sequence[str] = (),
        views: Sequence[str] = MOVED,
    ) -> None:
        """teacher: the decoder, which does not change.
        train, validation: faces of the two splits, of the teacher's size.
        device: of both models.
        steps: of the student.
        likeness: weight of the loss 1 − cosine between the given identity and that of the finished face; 0: off.
        heard: (m, identity_dim) identities that a prior samples for voices, as a student mostly receives in use; None
        if there are none.
        judges, views: see `likeness.Likeness`. Judges besides dlib compare the finished face with the teacher's for the
        same identity: there are no photographs of identities sampled from a prior.
        """
        super().__init__(student_of(teacher, steps), train, validation, device, likeness, False, judges, views)
        self.teacher = copy.deepcopy(teacher).to(device).eval().requires_grad_(False)
        self.heard = None if heard is None else heard.to(device)
        self.every = math.ceil(TEACHER_STEPS / steps)
        self.times, self.fine = times(steps), times(steps * self.every)

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        conditions = self._conditions(self.data, rows, generator)
        return self._landing(self.model, conditions, self._noise(len(rows), generator), generator).mean()

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean loss on up to 64 faces of the validation split, given their identity, with fixed noise."""
        assert isinstance(ema, Decoder)
        conditions = self._identities(torch.arange(min(VALIDATED, len(self.validation))))
        noise = self._noise(len(conditions["identity"].given), torch.Generator().manual_seed(1))
        return float(self._landing(ema, conditions, noise).mean())

    @torch.no_grad()
    def preview(self, ema: nn.Module, path: Path) -> None:
        """Eight validation identities, with two seeds: what the teacher draws, and below it the student's."""
        assert isinstance(ema, Decoder)
        conditions = self._identities(torch.arange(min(8, len(self.validation))))
        grid = []
        for seed in (0, 1):
            noise = self._noise(len(conditions["identity"].given), torch.Generator().manual_seed(seed))
            taught = multistep(self._teach(conditions), noise, DEFAULT.steps)
            learnt = euler(lambda z, t: ema(z, t, conditions), noise, len(self.times) - 1)
            grid += [ema.denormalise(taught).cpu(), ema.denormalise(learnt).cpu()]
        write_grid(path, [to_uint8(row) for row in grid])

    def _landing(
        self, student: Decoder, conditions: Conditions, noise: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss of each row, (n,). Euler's step from s to t with a prediction x̂ of the clean picture lands on z_s +
        (t − s) (x̂ − z_s) / (1 − s). To land on the z_t that the teacher reaches from the same z_s, it must predict

            x* = z_s + (1 − s) / (t − s) (z_t − z_s),        weighted by (t − s) / (1 − s)

        which is half-way between weighting errors in x̂ equally and weighting errors in the landing point equally. The
        next step starts where the student landed, so that it learns to correct its own errors.
        """
        teacher, z, loss = Multistep(self._teach(conditions)), noise, torch.zeros(len(noise), device=noise.device)
        for leap in range(len(self.times) - 1):
            fine = self.fine[leap * self.every : (leap + 1) * self.every + 1]
            s, t = fine[0], fine[-1]
            target = z
            with torch.no_grad():
                for near, far in itertools.pairwise(fine):
                    target = teacher(target, near, far)
            predicted = student(z, torch.full((len(z),), s, device=z.device), conditions).float()
            share = (t - s) / (1 - s)
            loss = loss + share * (predicted - z - (target - z) / share).square().flatten(1).mean(1)
            z = (z + share * (predicted - z)).detach()
        identity = conditions["identity"]
        if self.likeness is not None and identity.given.any():
            who = torch.nonzero(identity.given)[:, 0]
            faces = predicted[who] * student.image_std + student.image_mean
            taught = target[who] * student.image_std + student.image_mean
            unlike = 1 - self.likeness(faces, identity.value[who], generator, taught)
            loss = loss.index_add(0, who, self.likeness_weight * unlike)
        return loss / (len(self.times) - 1)

    def _teach(self, conditions: Conditions) -> Predict:
        return guided(self.teacher, conditions, guidance_of(DEFAULT))

    def _conditions(self, data: Faces, rows: Tensor, generator: torch.Generator) -> Conditions:
        """The conditions of the decoder's training or, half of the time, the identity alone, as is most common in use;
        half of the rows have identities between two people, and half of all identities are sampled for voices, if there
        is a prior. Other conditions, such as a guide, are given without an identity equally often."""
        conditions = self._batch(data, rows, generator)[1]
        n = len(rows)
        identity = conditions["identity"]
        share = uniform(generator, n, 1, to=self.device)
        share = share.where(uniform(generator, n, 1, to=self.device) < 0.5, 1.0)
        mixed = share * identity.value + (1 - share) * identity.value.roll(1, 0)
        if self.heard is not None:
            some = self.heard[whole(generator, len(self.heard), n, to=self.device)]
            mixed = some.where(uniform(generator, n, 1, to=self.device) < 0.5, mixed)
        if uniform(generator) < 0.5:
            conditions = {"identity": Condition.of(mixed)}
        else:
            named = uniform(generator, n, to=self.device) < 0.5
            conditions["identity"] = Condition(mixed, identity.given & named)
        return {**{k: c for k, c in conditions.items() if k not in UNGUIDED}, **self._asked(n)}

    def _identities(self, rows: Tensor) -> Conditions:
        return {"identity": self._batch(self.validation, rows, None)[1]["identity"], **self._asked(len(rows))}

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        size, (low, high) = self.model.config.size, NOISE
        scale = low + (high - low) * uniform(generator, n, 1, 1, 1, to=self.device)
        return self.model.config.noise * scale * normal(generator, n, 3, size, size, to=self.device)


def heard_identities(dataset: Dataset, folder: Path) -> Tensor | None:
    """(m, d): identities that the prior in a folder samples for the voices of the train split, from weakly to strongly
    guided. None without a prior, or without the voices that it needs."""
    if not (folder / "prior.json").exists():
        return None
    model = Speech2Face.from_pretrained(folder, device="cpu")
    names, seconds = list(model.prior.config.voices), model.prior.config.clip_seconds
    encoders = [name for name in names if name != ACOUSTICS]
    if not encoders or any(name not in stored_voices(dataset) for name in names):
        return None
    found = [voiced(dataset, "train", kind, encoders[0], seconds)[:, 0] for kind in ("video", "sound")]
    files = np.concatenate(found)
    if not len(files):
        return None
    if len(files) > MOST_HEARD:
        files = np.sort(np.random.default_rng(0).choice(files, MOST_HEARD, replace=False))
    heard = read_voices(dataset, files, names, seconds)
    rows = range(len(files))
    voices = model.voice_inputs(
        [{name: v[k] if there[k] else None for name, (v, there) in heard.items()} for k in rows]
    )
    drawn = [
        model.sample_identities(
            voices, range(i * len(voices), (i + 1) * len(voices)), temperature, voice_guidance=weight
        )
        for i, (weight, temperature) in enumerate(itertools.product(HEARD_WEIGHTS, HEARD_TEMPERATURES))
    ]
    return torch.from_numpy(np.concatenate(drawn))
