"""A speaker encoder's training: its data (the stored speech of the train split, from any recording), its task and its
job.

A training row is one speaker's turn: `voice_each` of their recordings, with a crop of each. With [train] `voice_from`,
a run starts from an existing encoder, the bundled one or a model folder; with `voice_keep`, the embedding of a degraded
recording is compared with that of the clean one by that encoder, or by `voice_teacher`, so that vectors stay where
models trained on them expect them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.speakers import speakers_of
from ds2f.diffusion.noise import whole
from ds2f.errors import UserError
from ds2f.evaluation.verification import equal_error_rate
from ds2f.models.folders import description
from ds2f.models.packing import unpacked
from ds2f.models.speaker.campplus import unfolded
from ds2f.models.speaker.encoder import Learnt, VoiceConfig, VoiceNetwork
from ds2f.models.store import load_voice, pick_device
from ds2f.training.loop import Options
from ds2f.training.losses.distil import departure
from ds2f.training.losses.head import OVER_CLASSES, Head, LossConfig
from ds2f.training.processes import launched, own_device
from ds2f.training.sounds.augment import SPEEDS, Augment, faster, spoken
from ds2f.training.sounds.speech import Voices, check_speakers, load_voices
from ds2f.training.start import Card, Job, make_options
from ds2f.training.warm_start import freeze
from ds2f.types import SAMPLE_RATE, Progress
from ds2f.voice.campplus_graph import WEIGHTS, heard_without_names

IN_THE_BOX = "campplus"
WEIGHT_DECAY = 0.05
SEEDS = 2**62
VALIDATED = 2_000  # recordings of the val split, at most
BEGUN_WITH = 4  # recordings of a speaker whose mean initialises their centre, at most


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`.

    database: whose speech to learn from.
    runs: its voice/ is for checkpoints, and for the model.
    settings: [train] seed, device, people and voice_….
    sample: leave the speech in the database.
    progress: called with (recordings decoded, total, "").
    Raises UserError for whatever prevents training, such as too few speakers.
    """
    device = own_device(pick_device(settings.device))
    torch.manual_seed(settings.seed)
    encoder = begin(settings)
    memory = 0.0 if sample else settings.voice_memory * 1e9
    with Dataset(database) as dataset:
        voices = load_voices(dataset, "train", memory, progress)
        held_out = load_voices(dataset, "val", memory)
        fingerprint, speakers = dataset.fingerprint(), speakers_of(dataset, "train")
    check_speakers(voices, f"the train split of {database}")
    task = VoiceTask(encoder, voices, held_out, settings, device)
    each = settings.voice_each
    options = make_options(
        runs / "voice", settings, device, settings.voice_batch, -(-settings.voice_utterances // each), settings.voice_lr
    )
    if settings.voice_loss not in OVER_CLASSES and max(options.accumulate, launched()) * 2 > options.batch:
        raise UserError(
            f"[train] voice_loss = {settings.voice_loss!r} tells the speakers of a part of a batch apart: "
            f"{options.batch} in {max(options.accumulate, launched())} parts are less than two each; raise voice_batch."
        )

    def finish(model: Voiced) -> tuple[VoiceNetwork, Card]:
        said = {"speakers_heard": voices.people, "recordings": len(voices), "loss": settings.voice_loss}
        learnt = learnt_before(settings).and_then(speakers, told=settings.voice_share > 0)
        eer = task.validate(model)
        return model.encoder, {
            **said,
            "from": settings.voice_from,
            "validation_eer": None if np.isnan(eer) else eer,
            **learnt.on_card(),
        }

    return Job(task, moving(options, settings), fingerprint, finish, "float32")


def moving(options: Options, settings: Train) -> Options:
    """How a speaker encoder's weights are updated. Pretrained ones have no weight decay, and steps relative to their
    size."""
    if settings.voice_from:
        return replace(options, muon=False, relative=True)
    return replace(options, muon=False, weight_decay=WEIGHT_DECAY)


def begin(settings: Train) -> VoiceNetwork:
    """The encoder before training. Raises UserError if `voice_from` and the other keys contradict each other."""
    network, start = settings.voice_network, settings.voice_from
    if not start:
        if settings.voice_frozen:
            raise UserError(f"[train] voice_frozen = {settings.voice_frozen} freezes random weights: set voice_from.")
        if settings.voice_keep:
            raise UserError(f"[train] voice_keep = {settings.voice_keep:g} needs an encoder to match: set voice_from.")
        wide = {"width": settings.voice_width} if settings.voice_width else {}
        if wide and network == "campplus":
            raise UserError("[train] voice_width: CAM++ has one width; leave it 0, or choose another voice_network.")
        if wide and network == "ecapa-tdnn":
            wide["last"] = min(1536, 3 * settings.voice_width)  # 1536 for 512 and for 1,024, as published
        return VoiceNetwork(VoiceConfig.usual(network, **wide))
    if start == IN_THE_BOX:
        encoder = VoiceNetwork(VoiceConfig.usual("campplus", normed=False))
        encoder.network.load_state_dict(unfolded(unpacked(load_file(WEIGHTS))))
        return encoder
    encoder = load_voice(Path(start)).requires_grad_(True)
    usual = Train()
    other = settings.voice_network not in (usual.voice_network, encoder.config.network)
    if other or settings.voice_width not in (0, encoder.config.options.get("width", 0)):
        raise UserError(
            f"{start} is a {encoder.config.network}, whose network and features cannot be changed: leave out "
            "voice_network and voice_width, or voice_from."
        )
    return encoder


def learnt_before(settings: Train) -> Learnt:
    """Whose speech the initial encoder was trained on, as far as it states that."""
    if settings.voice_from == IN_THE_BOX:
        return Learnt(heard=heard_without_names())
    return Learnt.of(description(Path(settings.voice_from), "voice")["card"]) if settings.voice_from else Learnt()


def _teacher(encoder: VoiceNetwork, settings: Train) -> VoiceNetwork:
    """The encoder whose clean vectors are the target. Raises UserError for one with vectors of another length."""
    if not settings.voice_teacher:
        return copy.deepcopy(encoder)
    teacher = begin(replace(settings, voice_from=settings.voice_teacher))
    lengths = [(one.config.dim, one.channels) for one in (encoder, teacher)]
    if lengths[0] != lengths[1]:
        raise UserError(
            f"[train] voice_teacher: {settings.voice_teacher} says {lengths[1]} numbers of a voice and of a frame, the "
            f"encoder that it should teach {lengths[0]}; take one of the same form."
        )
    return teacher


class Voiced(nn.Module):
    """What is trained: the encoder, and the parameters of its loss."""

    def __init__(self, encoder: VoiceNetwork, head: Head) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head


class VoiceTask:
    """See `loop.Task`."""

    def __init__(
        self, encoder: VoiceNetwork, train: Voices, validation: Voices, settings: Train, device: torch.device
    ) -> None:
        """encoder: to start from.
        train: training data.
        validation: data for monitoring its equal error rate.
        settings: [train] voice_… and people.
        device: to train on.
        """
        self.train, self.validation, self.settings, self.device = train, validation, settings, device
        self.recordings = train.by_person()
        self.turns = _turns(self.recordings, settings)
        self.size = len(self.turns)
        self.samples = round(settings.voice_seconds * SAMPLE_RATE)
        self.speeds = SPEEDS if settings.voice_speed else SPEEDS[:1]
        self.augment = Augment(
            settings.voice_augment,
            settings.voice_codecs,
            train.speech,
            len(train),
            settings.voice_noises,
            settings.voice_rooms,
        )
        loss = LossConfig(settings.voice_loss, settings.voice_margin, settings.voice_scale, settings.voice_centres)
        self.teacher = None
        if settings.voice_keep:
            self.teacher = _teacher(encoder, settings).eval().requires_grad_(False).to(device)
        encoder = encoder.to(device)
        self.frozen = freeze(encoder.network, settings.voice_frozen, f"voice_frozen: the {encoder.config.network}")
        head = Head(loss, encoder.config.dim, train.people * len(self.speeds))
        if settings.voice_from and settings.voice_share and settings.voice_loss in OVER_CLASSES:
            head.begin_at(self._means(encoder))
        self.model = Voiced(encoder, head.to(device))
        self._threads = ThreadPoolExecutor(max(1, torch.get_num_threads()))

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        turns = self.turns[rows.numpy()]
        speed = whole(generator, len(self.speeds), len(rows)).cpu().numpy()
        seeds = whole(generator, SEEDS, len(rows)).tolist()
        made = list(self._threads.map(self._turn, turns, speed, seeds))
        speaker = torch.from_numpy(turns + self.train.people * speed).to(self.device)
        heard = torch.from_numpy(np.concatenate([heard for _, heard in made])).to(self.device)
        for part in self.frozen:  # the loop has set everything to training mode
            part.eval()
        found, frames = self.model.encoder.both(heard)
        loss = self.settings.voice_share * self.model.head(found.view(len(rows), -1, found.shape[1]), speaker)
        if self.teacher is None:
            return loss
        clean = torch.from_numpy(np.concatenate([clean for clean, _ in made])).to(self.device)
        with torch.no_grad():
            wanted = self.teacher.both(clean)
        return loss + self.settings.voice_keep * (departure(found, wanted[0]) + departure(frames, wanted[1]))

    def _turn(self, person: int, speed: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """A speaker's crops, as recorded and as augmented: (each, samples) float32 both."""
        rng = np.random.default_rng(seed)
        own = self.recordings[person]
        chosen = np.resize(rng.permutation(own), self.settings.voice_each)
        pace = self.speeds[speed]
        crops = [self.train.speech.crop(int(n), spoken(self.samples, pace), rng.random()) for n in chosen]
        clean = [faster(crop, pace, self.samples) for crop in crops]
        return np.stack(clean), np.stack([self.augment(crop, rng) for crop in clean])

    @torch.no_grad()
    def _means(self, encoder: VoiceNetwork) -> Tensor:
        """Its mean embedding of every speaker at every speed: (people · speeds, dim)."""
        encoder.eval()
        found = []
        for pace in self.speeds:
            for own in self.recordings:
                crops = [self.train.speech.crop(int(n), spoken(self.samples, pace), 0.0) for n in own[:BEGUN_WITH]]
                audio = torch.from_numpy(np.stack([faster(crop, pace, self.samples) for crop in crops]))
                found.append(F.normalize(encoder(audio.to(self.device)), dim=1).mean(0).cpu())
        return torch.stack(found)

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Equal error rate over all pairs of recordings of the validation split, clean, by cosine; NaN without
        pairs."""
        encoder: Any = ema.eval().encoder
        return equal_error_rate_of(lambda audio: encoder(audio), self.validation, self.samples, self.device)

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Voices cannot be shown as a picture."""


def _turns(recordings: list[np.ndarray], settings: Train) -> np.ndarray:
    """(turns,) int: whose turn it is. A speaker gets as many as cover all their recordings or, if people are weighted
    equally, the average number."""
    each = settings.voice_each
    count = np.array([-(-len(own) // each) for own in recordings])
    if settings.people == "alike":
        count = np.full(len(recordings), round(float(count.mean())))
    return np.repeat(np.arange(len(recordings)), count)


def equal_error_rate_of(embed: Callable[[Tensor], Tensor], voices: Voices, samples: int, device: torch.device) -> float:
    """In [0, 1], over all pairs of recordings, using the first `samples` of each; NaN if no speaker has two, or there
    is only one speaker."""
    count = min(len(voices), VALIDATED)
    person = voices.person[:count]
    same = person[:, None] == person
    above = np.triu(np.ones((count, count), bool), 1)
    if not (same & above).any() or not (~same & above).any():
        return float("nan")
    found = []
    for number in range(count):
        audio = torch.from_numpy(voices.speech.crop(number, samples, 0.0)[None]).to(device)
        found.append(F.normalize(embed(audio), dim=1)[0].float().cpu())
    vectors = torch.stack(found).numpy()
    return equal_error_rate((vectors @ vectors.T)[above], same[above])
