"""The alignment's training: its data (pairs, and other people's faces as negatives), its task and its job.

With a few hundred pairs, randomly initialised encoders memorise them. So they start from a closed form, the principal
axes of the cross-covariance of whitened voices and faces, towards which InfoNCE moves first anyway; cross-validation
over the training people selects the number of axes, the shrinkage and the small number of steps from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.speakers import speakers_of
from ds2f.errors import UserError
from ds2f.evaluation.matching import alone_where_unknown, measure_matching
from ds2f.evaluation.verification import roc_auc
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.linear import LinearPrior
from ds2f.training.loop import Options, train
from ds2f.training.pairs import PairData, folds, load_pairs
from ds2f.training.start import Card, Job, make_options, refuse_launcher
from ds2f.types import Progress

FOLDS = 5
WITHIN_GENDER = 0.5  # share of a batch's voices and faces that are contrasted only with their own gender
DIMS = (8, 16, 32, 64)
SHRINKAGES = (0.3, 0.5, 0.7, 1.0, 1.5)
STEPS = (10, 30, 100)
MOST = 5000  # voices, at most, that are compared with each other's faces to evaluate a fit


@dataclass(frozen=True)
class Choice:
    """The result of cross-validation. dim: of the shared space; shrinkage: see `whiten`; steps: from the closed form;
    score: mean of the areas under the ROC curve, overall and within gender, on held-out people."""

    dim: int
    shrinkage: float
    steps: int
    score: float


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`. Cross-validation on the train split selects size and steps; after training, the model is
    calibrated on the validation split, and compared there with the ridge map.

    database: whose pairs of voices and faces to learn from.
    runs: its alignment/ is for checkpoints.
    settings: the voices, [train] people, seed and alignment_….
    sample: skip cross-validation and plan the largest number of steps.
    progress: called during cross-validation with (done, total).
    Raises UserError for whatever prevents training.
    """
    refuse_launcher("alignment")
    with Dataset(database) as dataset:
        pairs = load_pairs(dataset, "train", settings.voices)
        held_out = load_pairs(dataset, "val", settings.voices).sample(most=MOST)
        fingerprint, seconds = dataset.fingerprint(), dataset.clip_seconds(settings.voices[0])
        learnt_from = speakers_of(dataset, "train")
    pairs = pairs.alike() if settings.people == "alike" else pairs
    config = AlignmentConfig(pairs.dims, pairs.identity.shape[1], clip_seconds=seconds)
    batch = min(settings.alignment_batch, len(pairs))
    options = make_options(runs / "alignment", settings, torch.device("cpu"), batch, batch, settings.alignment_lr)
    options = replace(options, bf16=False, muon=False, ema=0.1, accumulate=1, fitted=True)
    if sample:
        choice = Choice(min(config.dim, *config.voices.values()), SHRINKAGES[0], max(STEPS), math.nan)
    else:
        choice = choose(config, pairs, options, progress)
    task = AlignmentTask(Alignment(replace(config, dim=choice.dim)), pairs, held_out, choice.shrinkage)

    def finish(model: Alignment) -> tuple[Alignment, Card]:
        model = calibrated(model, held_out).fold()
        people, gender = [str(p) for p in held_out.person], alone_where_unknown(held_out.looks.genders)
        found = {"alignment": scores(model, held_out), "linear": linear_scores(pairs, held_out, settings.voices)}
        measures = {name: measure_matching(of, people, {"gender": gender}) for name, of in found.items()}
        return model, {
            "choice": asdict(choice),
            "held_out_clips": len(held_out),
            "held_out_people": len(set(people)),
            "people": learnt_from,
            "measures": {name: [asdict(one) for one in of] for name, of in measures.items()},
        }

    return Job(task, replace(options, total=choice.steps * batch), fingerprint, finish)


class AlignmentTask:
    """See `loop.Task`. The model starts from the closed form of `start`."""

    def __init__(self, model: Alignment, data: PairData, validation: PairData, shrinkage: float) -> None:
        model.inputs.fit(data.voices)
        start(model, data, shrinkage)
        self.model, self.size, self.pairs = model, len(data), data
        self.data, self.validation = _Batch.of(model, data), _Batch.of(model, validation)
        if data.faces is not None:
            self.faces = torch.from_numpy(data.faces.identity)
            self.genders = torch.from_numpy(data.faces.looks.genders)

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        batch = self.data.rows(rows)
        if self.pairs.faces is not None:
            faces = self.pairs.draw(rows, generator)
            batch.identity = torch.where(faces[:, None] < 0, batch.identity, self.faces[faces])
            batch.gender = torch.where(faces < 0, batch.gender, self.genders[faces])
        only_own = torch.rand(2, len(rows), generator=generator) < WITHIN_GENDER
        return batch.loss(self.model, only_own)

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        assert isinstance(ema, Alignment)
        return float(self.validation.loss(ema, torch.zeros(2, len(self.validation.person), dtype=torch.bool)))

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Scores cannot be shown as a picture."""


@dataclass
class _Batch:
    """voice: (n, dv); identity: (n, di); person: (n,) int; gender: (n,) int, -1 where not known."""

    voice: Tensor
    identity: Tensor
    person: Tensor
    gender: Tensor

    @classmethod
    def of(cls, model: Alignment, data: PairData) -> _Batch:
        told = (model.inputs(data.voices), torch.from_numpy(data.identity))
        return cls(*told, torch.from_numpy(data.person), torch.from_numpy(data.looks.genders))

    def rows(self, rows: Tensor) -> _Batch:
        return _Batch(self.voice[rows], self.identity[rows], self.person[rows], self.gender[rows])

    def loss(self, model: Alignment, only_own: Tensor) -> Tensor:
        """Mean of voice to face and face to voice. only_own: (2, n) rows that are contrasted only with their own
        gender."""
        score = model(self.voice, self.identity)
        same = self.person[:, None] == self.person
        own = self.gender[:, None] == self.gender
        return (
            sum(
                (info_nce(s, same, own | ~only[:, None]) for s, only in zip((score, score.T), only_own, strict=True)),
                start=score.new_zeros(()),
            )
            / 2
        )


def info_nce(score: Tensor, right: Tensor, told_from: Tensor) -> Tensor:
    """The loss with several positives (Khosla et al. 2020, arXiv:2004.11362, eq. 2), averaged over rows:

        −1/|P_i| Σ_{j ∈ P_i} log( exp s_ij / Σ_{k ∈ A_i} exp s_ik )

    score: (n, m); right: (n, m) bool, P; told_from: (n, m) bool, A besides P.
    """
    log_p = F.log_softmax(score.masked_fill(~(told_from | right), -torch.inf), dim=1)
    return -(torch.where(right, log_p, 0.0).sum(1) / right.sum(1)).mean()


@torch.no_grad()
def start(model: Alignment, data: PairData, shrinkage: float) -> None:
    """Set both encoders to the closed form: with whitened X (n, dv) and Y (n, di),

        Xᵀ Y / n = U S Vᵀ,   voice map  U √S,   face map  V √S   (the leading `dim` columns)

    Canonical correlation analysis (Hotelling 1936, Biometrika 28) except for the shrinkage. The gradient of InfoNCE at
    small scores is this matrix, so training from scratch would move there first.
    """
    voice, face = model.inputs(data.voices), torch.from_numpy(data.identity)
    shown = torch.from_numpy(data.sample().identity)  # with the spread of faces, not of the means of people's faces
    white = []
    for tower, spread, values in ((model.voice, voice, voice), (model.face, shown, face)):
        tower.mean.copy_(spread.mean(0))
        tower.whitening = whiten(spread, shrinkage)
        white.append((values - tower.mean) @ tower.whitening)
    x, y = white
    u, s, v = torch.linalg.svd(x.T @ y / len(x), full_matrices=False)
    dim = model.config.dim
    for tower, axes in ((model.voice, u), (model.face, v.T)):
        mapped = (axes * s.sqrt())[:, :dim].T
        tower.map.weight.copy_(mapped / mapped.std())  # the loss is invariant to scale, the learning rate is not


def whiten(values: Tensor, shrinkage: float) -> Tensor:
    """Principal axes divided by their standard deviations σ, with small ones raised: (n, d) to (d, d).

    V / √(σ² + (shrinkage · σ_max)²): 0 whitens; values well above 1 only rotate.
    """
    variance, axes = torch.linalg.eigh(torch.cov(values.T.double()))
    variance = variance.clamp_min(0)
    return (axes / (variance + shrinkage**2 * variance.max()).sqrt()).float()


def choose(config: AlignmentConfig, data: PairData, settings: Options, progress: Progress | None) -> Choice:
    """Choose dimensions and shrinkage by the closed form, then the number of steps, possibly none, all by
    cross-validation over people.

    progress: called with (fits done, total, a word).
    Raises UserError for fewer than four people: each of two folds must have a voice and somebody else's face.
    """
    people = len(np.unique(data.person))
    count = min(FOLDS, people // 2)
    if count < 2:
        raise UserError(f"An alignment learns from voices and faces of four people or more, not of {people}.")
    fold = folds(data.person, count)
    parts = [(data.rows(fold != k), data.rows(fold == k).sample(most=MOST)) for k in range(count)]
    dims = [dim for dim in DIMS if dim <= min(config.identity_dim, sum(config.voices.values()))] or [1]
    forms = [(dim, shrinkage) for dim in dims for shrinkage in SHRINKAGES]
    total = len(forms) + len(STEPS)

    def score(dim: int, shrinkage: float, steps: int, done: int) -> float:
        found = [_fit(replace(config, dim=dim), a, b, shrinkage, steps, settings) for a, b in parts]
        if progress:
            progress(done + 1, total, "choosing its size")
        return float(np.mean([fit_score(m, b) for m, (_, b) in zip(found, parts, strict=True)]))

    scores = {form: score(*form, 0, i) for i, form in enumerate(forms)}
    best = max(scores, key=lambda form: scores[form])
    trained = {0: scores[best]} | {steps: score(*best, steps, len(forms) + i) for i, steps in enumerate(STEPS)}
    steps = max(trained, key=lambda s: trained[s])
    return Choice(*best, steps, trained[steps])


def _fit(
    config: AlignmentConfig, data: PairData, held_out: PairData, shrinkage: float, steps: int, settings: Options
) -> Alignment:
    task = AlignmentTask(Alignment(config), data, held_out, shrinkage)
    if steps == 0:
        return task.model.eval()
    with TemporaryDirectory() as folder:
        batch = min(settings.batch, len(data))
        found = train(task, replace(settings, run=Path(folder), batch=batch, total=steps * batch))
    assert isinstance(found, Alignment)
    return found


@torch.no_grad()
def scores(model: Alignment, data: PairData) -> np.ndarray:
    """Every voice with every face of the data: (n, n)."""
    found: np.ndarray = model(model.inputs(data.voices), torch.from_numpy(data.identity)).double().numpy()
    return found


def fit_score(model: Alignment, held_out: PairData) -> float:
    """Mean area under the ROC curve, overall and (where genders are known) within gender."""
    found, others = scores(model, held_out), held_out.person[:, None] != held_out.person
    right, gender = np.diagonal(found), alone_where_unknown(held_out.looks.genders)
    areas = [
        roc_auc(np.concatenate([right, found[wrong]]), np.repeat([1, 0], [len(right), wrong.sum()]))
        for wrong in (others, others & (gender[:, None] == gender))
        if wrong.any()
    ]
    return float(np.mean(areas))


def calibrated(model: Alignment, held_out: PairData) -> Alignment:
    """The model with slope and intercept of `Alignment.log_odds` fitted to people not seen in training.

    Right and wrong pairs have equal total weight, so that log-odds of 0 mean "no evidence".
    """
    found = scores(model, held_out)
    wrong = found[held_out.person[:, None] != held_out.person]
    right = np.diagonal(found)
    fitted = LogisticRegression(C=1e6, class_weight="balanced").fit(
        np.concatenate([right, wrong])[:, None], np.repeat([1, 0], [len(right), len(wrong)])
    )
    config = replace(model.config, slope=float(fitted.coef_[0, 0]), intercept=float(fitted.intercept_[0]))
    result = Alignment(config)
    result.load_state_dict(model.state_dict())
    return result.eval()


def linear_scores(data: PairData, held_out: PairData, voices: Sequence[str]) -> np.ndarray:
    """The baseline: the cosine of the ridge map's prediction with a face, both relative to the mean face: (n, n)."""
    known, heard = (d.voices[voices[0]].value.numpy() for d in (data, held_out))
    return LinearPrior.fit_to_people(known, data.identity, data.person).similarity(heard, held_out.identity)
