"""The decoder's training: its task (to draw every face of the dataset from any subset of what is known about it) and
its job. Its data is in `faces`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.faces import spoken_languages
from ds2f.diffusion.flow import interpolate, sample_time, velocity_error
from ds2f.diffusion.guidance import UNGUIDED
from ds2f.diffusion.noise import normal, uniform
from ds2f.diffusion.samplers import heun
from ds2f.io.images import write_grid
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import LINEAR_SIZE, Decoder, DecoderConfig, asked, noise_for
from ds2f.models.guide import random_guides
from ds2f.models.pixels import to_uint8
from ds2f.training.faces import Faces, above, load_splits, near, pixels_of, statistics
from ds2f.training.likeness import MOVED, Likeness
from ds2f.training.processes import own_device
from ds2f.training.start import Job, make_options, place_of
from ds2f.training.warm_start import extended, warm_start
from ds2f.types import Progress

DROP = {  # share of rows, independently for each condition and voice encoder: any subset must work when sampling
    "identity": 0.2,
    "coverage": 0.05,
    "sharpness": 0.05,
    "voice": 0.3,
    "age": 0.3,
    "gender": 0.3,
    "ethnicity": 0.3,
    "language": 0.3,
    "guide": 0.5,
}
DROP_ALL = 0.1  # share of rows without any condition except for the kind of picture
JUDGED = 256  # faces whose mean is the reference point of a judge in a file
ENLARGED = 0.25  # octaves: an enlargement by less than a fifth still shows how a face looks in the finest one
WHOLE = 0.85  # coverage above which a crop hardly shows its picture's border


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`. A decoder to start from (`decoder_from`) provides weights, and its languages come first.

    database: whose faces to learn from.
    runs: its decoder/ is for checkpoints; the prior in its model/ determines which clips voices are from.
    settings: the voices, device, compile, seed and decoder_….
    sample: use only the faces of the validation split, without compiling.
    progress: called while faces are packed.
    Raises UserError for sizes that do not fit, splits without faces, or an incompatible decoder to start from.
    """
    device = own_device(store.pick_device(settings.device))
    batch, total = settings.decoder_batch, settings.decoder_images
    options = make_options(runs / "decoder", settings, device, batch, total, settings.decoder_lr)
    old = store.load_decoder(Path(settings.decoder_from)) if settings.decoder_from else None
    with Dataset(database) as dataset:
        known = old.config.languages if old else ()
        languages = (*known, *(code for code in spoken_languages(dataset, "train") if code not in known))
        place = place_of(settings, runs, progress)
        held_out, faces = load_splits(
            dataset, runs / "model", settings.decoder_size, settings.voices, languages, place, sample
        )
        fingerprint = dataset.fingerprint()
    conditions = dict(faces.dims)
    if languages:
        conditions["language"] = len(languages)
    torch.manual_seed(settings.seed)
    config = decoder_config(settings, conditions, languages)
    model = Decoder(extended(config, old.config) if old else config)
    judges, views = settings.likeness_judges, settings.likeness_views
    task = DecoderTask(model, faces, held_out, device, settings.decoder_likeness, judges=judges, views=views)
    if old:
        warm_start(task.model, old)
    if settings.compile and not sample:
        task.model.compile()
    seen = task.judged_by(Path(settings.decoder_from) if old else None)
    return Job(task, options, fingerprint, lambda model: (model, {"judges": seen}))


def decoder_config(settings: Train, conditions: dict[str, int], languages: Sequence[str] = ()) -> DecoderConfig:
    """The decoder that a configuration describes, with `conditions`."""
    return DecoderConfig(
        size=settings.decoder_size,
        patch=settings.decoder_patch or settings.decoder_size // 8,  # 64 patches cost nearly the same at any size
        width=settings.decoder_width,
        depth=settings.decoder_depth,
        heads=settings.decoder_width // 64,
        conditions=conditions,
        guide=True,
        languages=tuple(languages),
        noise=noise_for(settings.decoder_size),
        linear_size=min(settings.decoder_size, LINEAR_SIZE),
    )


def fit_linear_face(faces: Iterable[tuple[Tensor, Tensor]], ridge: float = 0.02) -> Tensor:
    """Ridge map from identities to pixels, (d, 3 h w), from faces in blocks: (n, d) standardised identities, (n, 3, h,
    w) normalised pixels.

        W = (AᵀA + λ n I)⁻¹ Aᵀ X   (Hoerl & Kennard 1970, as in `models.linear`)
    """
    sums = [(identity.T @ identity, identity.T @ x.flatten(1), len(identity)) for identity, x in faces]
    gram, product, count = (sum(column) for column in zip(*sums, strict=True))
    return torch.linalg.solve(gram + ridge * count * torch.eye(len(gram), device=gram.device), product)


class DecoderTask:
    """See `loop.Task`: predict the clean picture from any subset of conditions."""

    def __init__(
        self,
        model: Decoder,
        train: Faces,
        validation: Faces,
        device: torch.device,
        likeness: float = 0.0,
        measure: bool = True,
        judges: Sequence[str] = (),
        views: Sequence[str] = MOVED,
    ) -> None:
        """model: to train.
        train, validation: faces of the two splits.
        device: of the model; for the faces see `near`.
        likeness: weight of the loss 1 − cosine between the given identity and that of the predicted face, see
        `likeness.Likeness`; 0: off.
        measure: compute mean face and statistics from `train`; False keeps those of the model.
        judges, views: recognisers in addition to dlib's, and how all of them see faces, see `likeness.Likeness`.
        """
        self.model = model.to(device)
        self.data, self.validation, self.device = near(train, device), near(validation, device), device
        self.size = len(train)
        if measure:
            self._measure()
        self.likeness_weight, self.likeness = likeness, None
        if likeness > 0:
            mean = cast(Tensor, model.conditioning.identity_mean)
            self.likeness = Likeness(mean, judges, views).to(device)
            if judges:
                self.likeness.centre(pixels_of(self.data, self._whole_faces()[:JUDGED], device))

    def judged_by(self, before: Path | None) -> list[str]:
        """The face encoders whose likeness loss the model, or the decoder that it started from, was trained with."""
        names = (folders.judges(before) if before else []) + (self.likeness.names if self.likeness else [])
        return list(dict.fromkeys(names))

    def _whole_faces(self) -> Tensor:
        """Up to 10,000 faces of the train split that lie entirely inside their pictures (or any faces, if hardly any
        do)."""
        whole = above(self.data, {"coverage": WHOLE})
        whole = whole if len(whole) > 1000 else torch.arange(self.size)
        return whole[torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:10_000]]

    def _measure(self) -> None:
        """Compute mean face, pixel spread, condition statistics and linear face; see `_whole_faces`."""
        some = self._whole_faces()
        parts = some.split(1000)  # all of them at once as floats would take gigabytes at 128 px
        count = len(some)
        pixels = lambda part: pixels_of(self.data, part, self.device)  # noqa: E731
        mean = torch.stack([pixels(part).sum(0) for part in parts]).sum(0) / count
        squares = torch.stack([(pixels(part) - mean).square().mean((1, 2, 3)).sum() for part in parts])
        self.model.image_mean.copy_(mean)
        self.model.image_std.copy_((squares.sum() / count).sqrt())
        for name, (mean, spread) in statistics(self.data).items():
            if name in self.model.config.conditions and name != "sharpness":  # see `models.decoder.asked`
                self.model.conditioning.set_moments(name, mean, spread)
        self.model.conditioning.set_statistics("identity", self._identities_of(some))
        self.model.linear_face.copy_(fit_linear_face(self._standard(part) for part in parts))

    def _standard(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised identities, and normalised pictures made symmetric."""
        identity = self._identities_of(rows)
        x = self.model.normalise(pixels_of(self.data, rows, self.device))
        x = F.interpolate((x + x.flip(3)) / 2, self.model.linear_size, mode="area")
        return self.model.conditioning.standardise("identity", identity), x

    def _identities_of(self, rows: Tensor) -> Tensor:
        return self.data.known(rows)["identity"].value.to(self.device)

    def _batch(self, data: Faces, rows: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Conditions]:
        """Normalised pixels and their conditions. generator: for training; without it, all conditions except the guide
        are given."""
        pixels, n = pixels_of(data, rows, self.device), len(rows)
        if generator is not None:
            # The identity vector hardly distinguishes left from right.
            flip = uniform(generator, n, 1, 1, 1, to=self.device) < 0.5
            pixels = torch.where(flip, pixels.flip(3), pixels)
        x = self.model.normalise(pixels)
        known = data.known(rows)
        conditions = {
            name: Condition(known[name].value.to(self.device), known[name].given.to(self.device))
            for name in self.model.config.conditions
            if name in known
        }
        if generator is not None and self.model.config.guide:
            guides = random_guides(x, self.model.image_mean / self.model.image_std, generator)
            conditions["guide"] = Condition.of(guides)
        return x, conditions if generator is None else drop(conditions, n, generator)

    def _asked(self, n: int) -> Conditions:
        """Complete and sharp, as all pictures are asked to be."""
        return {
            name: Condition.of(torch.full((n, 1), value, device=self.device))
            for name, value in asked(self.model.config).items()
        }

    def _losses(self, model: Decoder, data: Faces, rows: Tensor, noise: torch.Generator, augment: bool) -> Tensor:
        x, conditions = self._batch(data, rows, noise if augment else None)
        t = sample_time(len(rows), noise).to(self.device)
        z = interpolate(x, t, model.config.noise * normal(noise, *x.shape, to=self.device))
        predicted = model(z, t, conditions).float()
        error = velocity_error(predicted, x, z, t)
        if "sharpness" in conditions:
            error = resolved(error, conditions["sharpness"].value[:, 0])
        loss = error.square().flatten(1).mean(1)
        identity = conditions["identity"]
        if augment and self.likeness is not None and identity.given.any():
            who = torch.nonzero(identity.given)[:, 0]
            faces = predicted[who] * self.model.image_std + self.model.image_mean
            real = x[who] * self.model.image_std + self.model.image_mean
            # Near pure noise, the prediction is a mean of many faces and need not resemble one of them; hence the
            # factor t.
            unlike = t[who] * (1 - self.likeness(faces, identity.value[who], noise, real))
            loss = loss.index_add(0, who, self.likeness_weight * unlike)
        return loss

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        return self._losses(self.model, self.data, rows, generator, augment=True).mean()

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean loss on up to 256 faces of the validation split, with fixed times and noise."""
        assert isinstance(ema, Decoder)
        rows = torch.arange(min(256, len(self.validation)))
        return float(self._losses(ema, self.validation, rows, torch.Generator().manual_seed(1), augment=False).mean())

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Eight validation faces, and below each what the decoder draws for its identity, with two seeds; then with
        nothing given except complete and sharp; then, if the decoder supports guides, the guide and what it draws from
        that alone."""
        assert isinstance(ema, Decoder)
        rows = torch.arange(min(8, len(self.validation)))
        x, known = self._batch(self.validation, rows, None)
        full = self._asked(len(rows))
        identity = {"identity": known["identity"], **full}
        wanted: list[tuple[int, Conditions]] = [(0, identity), (1, identity), (2, full)]
        grid = [ema.denormalise(x).cpu()]
        guides = random_guides(x, ema.image_mean / ema.image_std, torch.Generator().manual_seed(0))
        if ema.config.guide:
            wanted.append((3, {"guide": Condition.of(guides), **full}))
        for seed, conditions in wanted:
            if "guide" in conditions:
                grid.append(ema.denormalise(guides).cpu())
            noise = normal(torch.Generator().manual_seed(seed), *x.shape, to=self.device) * ema.config.noise
            sample = heun(lambda z, t, c=conditions: ema(z, t, c), noise, 12)  # type: ignore[misc]
            grid.append(ema.denormalise(sample).cpu())
        write_grid(path, [to_uint8(row) for row in grid])


def resolved(error: Tensor, sharpness: Tensor) -> Tensor:
    """The part of an error in pictures that their faces can tell: soft faces teach who, and only sharp ones how.

    A crop enlarged 2ᵏ times, its sharpness −k, knows nothing of the k finest octaves. So its error keeps the means of
    blocks of 2ᵏ × 2ᵏ pixels, the orthogonal projection on pictures of its own size, and the decoder is free beyond.

    error: (n, 3, size, size). sharpness: (n,), see `face.align.sharpness`; an octave of which `ENLARGED` is missing
    does not count.
    """
    octaves = (-sharpness - ENLARGED).ceil().long()
    kept = error
    for k in octaves[octaves > 0].unique().tolist():
        blocks = F.interpolate(error, error.shape[-1] // 2**k, mode="area")
        blocks = F.interpolate(blocks, error.shape[-1])
        kept = torch.where((octaves == k)[:, None, None, None], blocks, kept)
    return kept


def drop(conditions: Conditions, n: int, generator: torch.Generator) -> Conditions:
    """Drop conditions at random, row by row: each independently with its share in DROP, and sometimes all of them."""
    device = conditions["coverage"].given.device
    nothing = uniform(generator, n, to=device) < DROP_ALL
    kept: dict[str, Tensor] = {}
    for name, condition in conditions.items():
        given = condition.given & (uniform(generator, n, to=device) >= DROP[name.partition(":")[0]])
        if name not in UNGUIDED:
            given &= ~nothing
        kept[name] = given
    return {name: Condition(c.value, kept[name]) for name, c in conditions.items()}
