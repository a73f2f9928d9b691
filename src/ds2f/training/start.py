"""From configuration and dataset to a trained model in runs/model: what `ds2f train` calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ds2f import __version__
from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.evaluation.attributes import measure_attributes
from ds2f.evaluation.matching import alone_where_unknown, measure_matching
from ds2f.face.attributes import estimate
from ds2f.models import store
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.attributes import AttributeHead, AttributesConfig
from ds2f.models.decoder import ALL_CONDITIONS, LINEAR_SIZE, Decoder, DecoderConfig, noise_for
from ds2f.models.prior import Prior, PriorConfig
from ds2f.training.alignment import AlignmentTask, calibrated, choose, linear_scores, scores
from ds2f.training.attributes import AttributesTask, calibrate, load_labelled
from ds2f.training.decoder import DecoderTask, FaceData, load_faces, spoken_languages
from ds2f.training.distillation import DistillationTask, heard_identities
from ds2f.training.loop import Options, Task, train
from ds2f.training.pairs import load_pairs
from ds2f.training.prior import PriorTask
from ds2f.training.processes import is_main, launched, own_device
from ds2f.training.warm_start import extended, warm_start
from ds2f.types import Progress


@dataclass(frozen=True)
class Job:
    """A training ready to start. finish: saves the averaged model and returns its folder."""

    task: Task
    options: Options
    finish: Callable[[nn.Module], Path]

    def run(self, progress: Progress | None) -> Path:
        return self.finish(train(self.task, self.options, progress))


def train_decoder(database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Train, or go on training, the decoder. Returns the model folder, runs/model."""
    return decoder_job(database, runs, settings).run(progress)


def decoder_job(database: Path, runs: Path, settings: Train, sample: bool = False) -> Job:
    """sample: with the faces of the validation split alone, to look at what a step needs.

    Raises UserError for what cannot work: splits without faces, another shape of decoder to start from.
    """
    device = own_device(store.pick_device(settings.device))
    batch, total = settings.decoder_batch, settings.decoder_images
    options = _options(runs / "decoder", settings, device, batch, total, settings.decoder_lr)
    old = store.load_decoder(Path(settings.decoder_from)) if settings.decoder_from else None
    with Dataset(database) as dataset:
        known = old.config.languages if old else ()
        languages = (*known, *(code for code in spoken_languages(dataset) if code not in known))
        held_out, faces = _faces(dataset, settings.decoder_size, settings.voices, languages, sample)
        data = dataset.fingerprint()
    further = {"guide_level": ALL_CONDITIONS["guide_level"]} | ({"language": len(languages)} if languages else {})
    torch.manual_seed(settings.seed)
    config = decoder_config(settings, {n: c.value.shape[1] for n, c in faces.conditions.items()} | further, languages)
    model = Decoder(extended(config, old.config) if old else config)
    task = DecoderTask(model, faces, held_out, device, settings.decoder_likeness)
    if old:
        warm_start(task.model, old)
    if settings.compile and not sample:
        task.model.compile()

    def finish(ema: nn.Module) -> Path:
        assert isinstance(ema, Decoder)
        return _save(runs, ema, _card(data, len(faces), total))

    return Job(task, options, finish)


def decoder_config(settings: Train, conditions: dict[str, int], languages: Sequence[str] = ()) -> DecoderConfig:
    """The decoder that a configuration means, told `conditions`."""
    return DecoderConfig(
        size=settings.decoder_size,
        patch=settings.decoder_patch or settings.decoder_size // 8,  # 64 patches at any size cost nearly the same
        width=settings.decoder_width,
        depth=settings.decoder_depth,
        heads=settings.decoder_width // 64,
        conditions=conditions,
        guide=True,
        languages=tuple(languages),
        noise=noise_for(settings.decoder_size),
        linear_size=min(settings.decoder_size, LINEAR_SIZE),
    )


def train_fast_decoder(database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Teach the decoder in runs/model to draw in few steps, or go on teaching. Returns the model folder, runs/model."""
    return fast_decoder_job(database, runs, settings).run(progress)


def fast_decoder_job(database: Path, runs: Path, settings: Train, sample: bool = False) -> Job:
    """sample: as for `decoder_job`. Raises UserError for what cannot work, such as no decoder to learn from."""
    device = own_device(store.pick_device(settings.device))
    batch, total = settings.fast_batch, settings.fast_faces
    options = _options(runs / "fast-decoder", settings, device, batch, total, settings.fast_lr)
    if not (runs / "model" / "decoder.json").exists():
        raise UserError(f"There is no decoder in {runs / 'model'} to learn from; run `ds2f train decoder` first.")
    teacher, taught_by = store.load_decoder(runs / "model"), store.digest(runs / "model", "decoder")
    with Dataset(database) as dataset:
        held_out, faces = _faces(dataset, teacher.config.size, settings.voices, teacher.config.languages, sample)
        heard, data = heard_identities(dataset, runs / "model"), dataset.fingerprint()
    task = DistillationTask(teacher, faces, held_out, device, settings.fast_steps, settings.fast_likeness, heard)
    if settings.compile and not sample:
        task.model.compile()
        task.teacher.compile()

    def finish(ema: nn.Module) -> Path:
        assert isinstance(ema, Decoder)
        return _save(runs, ema, {**_card(data, len(faces), total), "teacher": taught_by})

    return Job(task, options, finish)


def _faces(
    dataset: Dataset, size: int, voices: Sequence[str], languages: Sequence[str], sample: bool
) -> tuple[FaceData, FaceData]:
    """Those of the validation split and of train; of the validation split alone for a sample."""
    held_out = load_faces(dataset, "val", size, voices, languages)
    return held_out, held_out if sample else load_faces(dataset, "train", size, voices, languages)


def train_prior(database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Train, or go on training, the prior. Returns the model folder, runs/model."""
    return prior_job(database, runs, settings).run(progress)


def prior_job(database: Path, runs: Path, settings: Train, sample: bool = False) -> Job:
    """sample: makes no difference, the pairs are few. Raises UserError for what cannot work, such as missing voices."""
    device = own_device(store.pick_device(settings.device))
    total = settings.prior_steps * settings.prior_batch
    options = _options(runs / "prior", settings, device, settings.prior_batch, total, settings.prior_lr)
    with Dataset(database) as dataset:
        pairs = load_pairs(dataset, "train", settings.voices)
        held_out = load_pairs(dataset, "val", settings.voices, at_least=1)
        data, seconds = dataset.fingerprint(), dataset.clip_seconds(settings.voices[0])
    torch.manual_seed(settings.seed)
    config = PriorConfig(
        pairs.dims, pairs.identity.shape[1], settings.prior_width, settings.prior_depth, clip_seconds=seconds
    )

    def finish(ema: nn.Module) -> Path:
        assert isinstance(ema, Prior)
        return _save(runs, ema, _card(data, len(pairs), total))

    return Job(PriorTask(Prior(config), pairs, held_out, device), options, finish)


def train_attributes(database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Train, or go on training, the attribute head, and measure it. Returns the model folder, runs/model.

    It learns from the identities of the train split. Those of val choose the temperatures; the measures are of val
    and test together, but for the calibration error, which the temperatures would flatter: that is of test alone.
    """
    return attributes_job(database, runs, settings).run(progress)


def attributes_job(database: Path, runs: Path, settings: Train, sample: bool = False) -> Job:
    """sample: makes no difference, vectors are small. Raises UserError for what cannot work."""
    _one_process("attributes")
    device = torch.device("cpu")  # a step takes a millisecond there; a GPU would wait for its next launch
    batch, total = settings.attributes_batch, settings.attributes_faces
    options = _options(runs / "attributes", settings, device, batch, total, settings.attributes_lr)
    options = replace(options, bf16=False, muon=False, weight_decay=0.05, accumulate=1)
    with Dataset(database) as dataset:
        faces, val, test = (load_labelled(dataset, [split]) for split in ("train", "val", "test"))
        held_out = load_labelled(dataset, ["val", "test"])
        data = dataset.fingerprint()
    torch.manual_seed(settings.seed)
    config = AttributesConfig(identity_dim=faces.identity.shape[1])

    def finish(ema: nn.Module) -> Path:
        assert isinstance(ema, AttributeHead)
        calibrate(ema.eval(), val)
        measures = replace(
            measure_attributes(estimate(ema, held_out.identity), held_out.labels),
            calibration_error=measure_attributes(estimate(ema, test.identity), test.labels).calibration_error,
        )
        card = {**_card(data, len(faces), total), "held_out_faces": len(held_out), "measures": asdict(measures)}
        return _save(runs, ema, card)

    return Job(AttributesTask(AttributeHead(config), faces, val, device), options, finish)


def train_alignment(database: Path, runs: Path, settings: Train, progress: Progress | None = None) -> Path:
    """Train, or go on training, the alignment of voices and faces. The validation split calibrates it, and measures it
    beside the ridge map. Returns the model folder, runs/model."""
    _one_process("alignment")
    with Dataset(database) as dataset:
        pairs = load_pairs(dataset, "train", settings.voices)
        held_out = load_pairs(dataset, "val", settings.voices)
        data, seconds = dataset.fingerprint(), dataset.clip_seconds(settings.voices[0])
    config = AlignmentConfig(pairs.dims, pairs.identity.shape[1], clip_seconds=seconds)
    batch = min(settings.alignment_batch, len(pairs))
    run = runs / "alignment"
    options = _options(run, settings, torch.device("cpu"), batch, batch, settings.alignment_lr)
    options = replace(options, bf16=False, muon=False, ema=0.1, accumulate=1)

    choice = choose(config, pairs, options, progress)
    task = AlignmentTask(Alignment(replace(config, dim=choice.dim)), pairs, held_out, choice.shrinkage)
    model = train(task, replace(options, total=choice.steps * batch), progress)
    assert isinstance(model, Alignment)
    model = calibrated(model, held_out).fold()
    people, gender = [str(p) for p in held_out.person], alone_where_unknown(held_out.looks.genders)
    found = {"alignment": scores(model, held_out), "linear": linear_scores(pairs, held_out, settings.voices)}
    measures = {name: measure_matching(of, people, {"gender": gender}) for name, of in found.items()}
    card = {
        **_card(data, len(pairs), choice.steps * batch),
        "choice": asdict(choice),
        "held_out_clips": len(held_out),
        "held_out_people": len(set(people)),
        "measures": {name: [asdict(one) for one in of] for name, of in measures.items()},
    }
    return _save(runs, model, card)


def _options(run: Path, settings: Train, device: torch.device, batch: int, total: int, lr: float) -> Options:
    if not 1 <= settings.accumulate <= batch or launched() > batch:
        raise UserError(
            f"[train] accumulate = {settings.accumulate}: a batch of {batch} can be split into 1 to {batch} parts, and "
            f"computed by as many processes; there are {launched()}."
        )
    return Options(
        run=run,
        batch=batch,
        total=total,
        lr=lr,
        seed=settings.seed,
        save_seconds=settings.save_seconds,
        tensorboard=settings.tensorboard,
        accumulate=settings.accumulate,
        bf16=device.type == "cuda" or (device.type == "cpu" and cpu_has_bf16()),
    )


def _save(runs: Path, model: Decoder | Prior | AttributeHead | Alignment, card: dict[str, Any]) -> Path:
    if is_main():
        store.save(runs / "model", model, card)
    return runs / "model"


def _one_process(model: str) -> None:
    if launched() > 1:
        raise UserError(f"The {model} takes seconds to train; run `ds2f train {model}` without a launcher.")


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively; without that it is slower than float32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _card(data: str, rows: int, seen: int) -> dict[str, Any]:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "ds2f": __version__,
        "torch": torch.__version__,
        "dataset": data,
        "training_rows": rows,
        "rows_seen": seen,
    }


TRAIN = {
    "prior": train_prior,
    "decoder": train_decoder,
    "fast-decoder": train_fast_decoder,
    "attributes": train_attributes,
    "alignment": train_alignment,
}
JOBS = {
    "prior": prior_job,
    "decoder": decoder_job,
    "fast-decoder": fast_decoder_job,
    "attributes": attributes_job,
}
