"""The super-resolution network's training: its data (photographs, each with the decoder's rendering of it), its task
and its job.

A photograph reduced to the decoder's size does not look like a drawn picture: it is sharper and lacks the decoder's
style. So it is softened as much as drawn pictures are, noise is added up to the level of the decoder's last step, and
it is drawn from there (SDEdit; Meng et al. 2022, arXiv:2108.01073): pixel by pixel the same face, in the decoder's
style. From that, the network learns to restore the photograph.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.diffusion.flow import interpolate
from ds2f.diffusion.noise import normal, uniform
from ds2f.diffusion.samplers import times
from ds2f.errors import UserError
from ds2f.io.images import write_grid
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder, asked
from ds2f.models.pixels import from_uint8, to_uint8
from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig
from ds2f.speech2face.patch_artifacts import remove_patch_artifacts
from ds2f.speech2face.settings import DEFAULT
from ds2f.training.adversarial import Discriminator, discriminator_loss, generator_losses
from ds2f.training.faces import Faces, above, load_splits, near, pixels_of
from ds2f.training.processes import own_device
from ds2f.training.start import Job, make_options, place_of
from ds2f.training.warm_start import start_super_resolution
from ds2f.types import Progress

STEPS = 4  # of a decoder that was not distilled
SOFT = (0.5, 1.7)  # standard deviation of the blur, in pixels of 128: as soft as drawn pictures
RATES = {"discriminator": 3.0}  # it must know more than the network it judges (Heusel et al. 2017, arXiv:1706.08500)
BETAS = (0.5, 0.95)  # a network's adversary soon changes
WHOLE, SHARP = 0.97, -0.5  # minimum coverage and sharpness of a photograph, so that no pixels are invented
SHOWN, VALIDATED = 6, 64  # faces


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`. It is trained on the output of the decoder in runs/model, or of the fast decoder if there is
    one.

    database: whose photographs to learn from; their crops are as large as the finished pictures.
    runs: its super-resolution/ is for checkpoints; its model/ contains the decoder.
    settings: device, compile, seed and sr_….
    sample: use only the faces of the validation split, without compiling.
    progress: called while faces are packed.
    Raises UserError for whatever prevents training, such as no decoder, or no sufficiently sharp photographs.
    """
    device, folder = own_device(store.pick_device(settings.device)), runs / "model"
    options = make_options(
        runs / "super-resolution", settings, device, settings.sr_batch, settings.sr_faces, settings.sr_lr
    )
    if not (folder / "decoder.json").exists():
        raise UserError(f"There is no decoder in {folder} to train on; run `ds2f train decoder` first.")
    fast = store.load_fast_decoder(folder)
    decoder, kind = (fast, "fast-decoder") if fast else (store.load_decoder(folder), "decoder")
    size = settings.sr_factor * decoder.config.size
    with Dataset(database) as dataset:
        place = place_of(settings, runs, progress)
        held_out, faces = load_splits(dataset, folder, size, settings.voices, decoder.config.languages, place, sample)
        fingerprint = dataset.fingerprint()
    torch.manual_seed(settings.seed)
    weights = (settings.sr_adversarial, settings.sr_features)
    task = SuperResolutionTask(decoder, faces, held_out, device, *weights, settings.sr_factor)
    if settings.sr_from:
        start_super_resolution(task.model.generator, store.load_super_resolution(Path(settings.sr_from)))
    if settings.compile and not sample:
        task.model.generator.compile()
        task.model.discriminator.compile()
    share = settings.sr_strength
    teacher = folders.digest(folder, kind)
    card = {"teacher": teacher, "strength": share}
    options = replace(options, teacher=teacher, rates=RATES, betas=BETAS)
    return Job(task, options, fingerprint, lambda model: (added_by(model.generator, share), card))


class Adversaries(nn.Module):
    """Both trained networks: generator, which is kept, and discriminator."""

    def __init__(self, generator: SuperResolution, discriminator: Discriminator) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator


class SuperResolutionTask:
    """See `loop.Task`: restore photographs from drawn pictures, so that a discriminator cannot tell them apart."""

    def __init__(
        self,
        decoder: Decoder,
        train: Faces,
        validation: Faces,
        device: torch.device,
        adversarial: float,
        features: float,
        factor: int = 2,
    ) -> None:
        """decoder: that draws; it does not change.
        train, validation: faces of the two splits, `factor` times as large as it draws them.
        device: of all networks.
        adversarial, features: weights of the two losses of `adversarial.generator_losses` relative to |G − x|, averaged
        over pixels in [-1, 1].
        factor: how much larger the finished pictures are, 1 or 2.
        Raises UserError if no face of a split is complete and sharp.
        """
        config = SuperResolutionConfig(decoder.config.size, factor)
        self.model = Adversaries(SuperResolution(config), Discriminator()).to(device)
        if device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.decoder = decoder.to(device).eval().requires_grad_(False)
        self.soft, self.factor = SOFT, factor
        self.times = times(decoder.config.few_steps or STEPS)
        self.adversarial, self.features = adversarial, features
        self.data, self.validation, self.device = near(train, device), near(validation, device), device
        self._photographs, self._held_out = photographs(train), photographs(validation)
        self.size = len(self._photographs)

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        real, drawn = self._pairs(self.data, self._photographs[rows], generator)
        flip = uniform(generator, len(rows), 1, 1, 1, to=self.device) < 0.5
        real, drawn = real.where(flip, real.flip(3)), drawn.where(flip, drawn.flip(3))
        made = self.model.generator(drawn, self._noise(len(rows), generator)).float()
        loss = (made - real).abs().mean()
        if self.adversarial or self.features:
            deceived, apart = generator_losses(self.model.discriminator, made, real)
            loss = loss + self.adversarial * deceived + self.features * apart
            loss = loss + discriminator_loss(self.model.discriminator, made, real, generator)
        return loss

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean |G − x| of up to 64 photographs of the validation split, with fixed noise."""
        real, made = self._held_out_pairs(ema, VALIDATED)[1:]
        return float((made - real).abs().mean())

    @torch.no_grad()
    def preview(self, ema: nn.Module, path: Path) -> None:
        """Six photographs of the validation split: as drawn and plainly enlarged, as restored, and the originals."""
        drawn, real, made = self._held_out_pairs(ema, SHOWN)
        plain = F.interpolate(drawn, real.shape[-1], mode="bicubic", align_corners=False)
        write_grid(path, [to_uint8(row) for row in (plain, made, real)], scale=1)

    def _held_out_pairs(self, ema: nn.Module, most: int) -> tuple[Tensor, Tensor, Tensor]:
        """Drawn pictures, their photographs, and the restored ones."""
        assert isinstance(ema, Adversaries)
        generator, parts = torch.Generator().manual_seed(1), []
        for rows in self._held_out[:most].split(8):
            real, drawn = self._pairs(self.validation, rows, generator)
            parts.append((drawn, real, ema.generator(drawn, self._noise(len(rows), generator)).float()))
        drawn, real, made = (torch.cat(column) for column in zip(*parts, strict=True))
        return drawn, real, made

    @torch.no_grad()
    def _pairs(self, data: Faces, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Photographs, (n, 3, size, size) in [-1, 1], and the decoder's renderings, (n, 3, s, s); s: its size."""
        real = pixels_of(data, rows, self.device)
        given = {"identity": data.known(rows)["identity"].value.to(self.device)}
        given |= {k: torch.full((len(rows), 1), v, device=self.device) for k, v in asked(self.decoder.config).items()}
        conditions = {name: Condition.of(value) for name, value in given.items()}
        low, high = self.soft
        spread = (low + (high - low) * uniform(generator, len(rows), to=self.device)) * self.decoder.config.size / 128
        x = self.decoder.normalise(softened(F.avg_pool2d(real, self.factor), spread))
        last = self.times[-2]
        # In use, the coarsest waves of the noise are halved (`plain.damp_low_frequencies`); by the last step they no
        # longer matter.
        start = DEFAULT.noise * self.decoder.config.noise * normal(generator, *x.shape, to=self.device)
        t = torch.full((len(x),), last, device=self.device)
        predicted = self.decoder(interpolate(x, t, start), t, conditions).float()
        drawn = remove_patch_artifacts(to_uint8(self.decoder.denormalise(predicted)), self.decoder.config.patch)
        return real, from_uint8(drawn).to(self.device)

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        size = self.factor * self.decoder.config.size
        return normal(generator, n, 1, size, size, to=self.device)


def added_by(network: SuperResolution, share: float) -> SuperResolution:
    """A network that adds a share, at least 0, of what this one adds to the enlarged picture: between safe and sharp
    (Wang et al. 2018, arXiv:1809.00219, section 3.4, who interpolate all weights; here the last layer's suffice)."""
    calmer = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in calmer.leave.parameters():
            parameter.mul_(share)
    return calmer


def softened(pictures: Tensor, spread: Tensor) -> Tensor:
    """Pictures, (n, c, h, w), blurred by Gaussians with individual standard deviations, (n,) pixels, truncated at three
    times the largest."""
    reach = math.ceil(3 * float(spread.max()))
    along = torch.arange(-reach, reach + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (along / spread[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(pictures.shape[1], 0)[:, None, None]
    rows = F.pad(pictures, (reach, reach, reach, reach), mode="replicate").flatten(0, 1)[None]
    rows = F.conv2d(rows, kernel, groups=len(kernel))
    rows = F.conv2d(rows, kernel.transpose(2, 3), groups=len(kernel))
    return rows[0].unflatten(0, pictures.shape[:2])


def photographs(data: Faces) -> Tensor:
    """(m,) int64: the faces that lie entirely inside their pictures and were not enlarged. Raises UserError if there
    are none."""
    chosen = above(data, {"coverage": WHOLE, "sharpness": SHARP})
    if not len(chosen):
        raise UserError(
            "There are no photographs to learn super-resolution from: faces that lie wholly inside their pictures, "
            "with 70 % of the pixels of the crop or more. Ingest larger pictures."
        )
    return chosen
