"""The arrows of the data's way, each with its progress and its closing sentence: what the commands call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.console import bar, err, out
from ds2f.config import Config
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.extract.engines.local import Outcome
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.settings import Settings
    from ds2f.types import Wish

REFUSED_SHOWN = 20  # recordings that `ds2f verify` could not use


def ingest(database: Path, folders: Sequence[Path], kind: str, config: Config) -> None:
    """Enter files into the database, made if it is not there. kind: "video" or "still"."""
    from ds2f.corpora.scan import Skipped, scan
    from ds2f.dataset import Dataset
    from ds2f.dataset.forgotten import willing
    from ds2f.dataset.queries import SplitRule

    for folder in folders:
        if not folder.exists():
            raise UserError(f"There is no folder {folder}; check the path.")
    for folder in folders:
        skipped = Skipped()
        root = folder.resolve()
        items = list(scan(root, kind, skipped))
        if not items:
            found = f" (only others, such as {skipped.examples[0]})" if skipped.examples else ""
            what = "videos" if kind == "video" else "pictures"
            hint = " For still faces add: --kind faces." if kind == "video" and not skipped.audio_only else ""
            if skipped.audio_only:
                hint = " Sound without a picture makes no pair; to draw faces for it: ds2f generate FILE --out faces"
            raise UserError(f"{folder} has no {what}{found}.{hint}")
        with Dataset(database, create=True) as dataset:
            rule = SplitRule(config.split.seed, config.split.val, config.split.test)
            added, changed = dataset.add_items(root, kind, items, rule)
            forgotten = len(items) - len(willing(dataset.connection, items))
        left_out = skipped.audio_only + skipped.other
        note = f"; {left_out:,} other files left out" if left_out else ""
        note += f"; {forgotten:,} of people who were forgotten left out" if forgotten else ""
        out.print(f"{folder}: {len(items):,} files, {added:,} new, {changed:,} changed{note}.")


def extract(database: Path, config: Config, workers: int, retry_failed: bool = False, shard: str = "") -> None:
    """Extract what is missing. shard: "2/8" does the second eighth, into a database of its own beside this one."""
    _must_open(database)
    from ds2f.dataset.plan import parse_shard
    from ds2f.dataset.shards import split_off
    from ds2f.extract.engines import pick
    from ds2f.extract.engines.local import Load
    from ds2f.extract.run import extract_missing
    from ds2f.extract.settings import Settings, plan_of

    settings = Settings.of(config)
    engine = pick(config.extract.engine, config.extract.ray_address)
    whole = database
    if shard:
        database = split_off(whole, parse_shard(shard), plan_of(settings), retry_failed)
    failed = 0
    with bar("extract") as shown:

        def progress(done: int, total: int, outcome: Outcome | None) -> None:
            nonlocal failed
            failed += outcome is not None and outcome.failed
            shown.update(done, total, f"{failed:,} failed" if failed else "")

        load = Load(workers, config.extract.batch, settings.item_seconds)
        summary = extract_missing(database, settings, load, engine, retry_failed, progress)
    if summary.done + summary.failed == 0:
        out.print("Nothing is missing. To try failed files again: ds2f extract --retry-failed")
    else:
        why = f"; why: ds2f status --database {database}" if summary.failed else ""
        out.print(f"Extracted {summary.done:,} files, {summary.failed:,} failed{why}.")
    if shard:
        out.print(f"This shard is in {database}. When all are done: ds2f merge --database {whole} SHARD.db ...")


def merge(database: Path, shards: Sequence[Path]) -> None:
    """Take shards into the whole."""
    from ds2f.dataset.shards import merge as take

    merged = take(database, shards)
    left_out = f"; {merged.changed:,} left out, ingested anew since" if merged.changed else ""
    out.print(f"Merged {merged.files:,} files into {database}{left_out}.")


def export(
    database: Path, form: str, folder: Path, splits: Sequence[str], encoders: Sequence[str], shard_mb: int
) -> None:
    """Write the dataset as WebDataset or Parquet shards. splits: none means all."""
    from ds2f.dataset import Dataset
    from ds2f.dataset.export import export as write
    from ds2f.dataset.queries import SPLITS

    with Dataset(database) as dataset, bar("export") as shown:
        written = write(dataset, form, folder, splits or SPLITS, encoders, shard_mb, shown.update)
    size = f"{written.bytes / 1e6:,.1f} MB"
    out.print(f"{written.records:,} records in {written.shards:,} shards ({size}) in {folder}; see README.json there.")


def train(model: str, database: Path, runs: Path, config: Config) -> Path:
    """Train "prior", "decoder", "attributes" or "alignment", or go on. Returns the model folder."""
    _must_open(database)
    from ds2f.training.command import train as start

    return start(model, database, runs, config)


def generate_files(recordings: Sequence[Path], folder: Path, config: Config, device: str, wish: Wish) -> int:
    """Draw faces for recordings. Returns 0 if all gave faces, 1 if some did, 2 if none did."""
    from ds2f.speech2face.files import from_files, make_folder

    if not any(path.exists() for path in recordings):  # said now, and not after the model is loaded
        raise UserError(f"There is no recording {recordings[0]}; check the path.")
    make_folder(folder)
    model, settings = _model(config, device)
    chosen = config.generate
    with bar("generate") as shown:
        written = from_files(model, recordings, folder, chosen.count, chosen.seed, settings, wish, shown.update)
    for path, reason in written.refused:
        err.print(f"ds2f generate: {path}: {reason}", markup=False)
    for path in written.faces:
        out.print(str(path), markup=False)
    if written.faces:
        err.print("These faces are imagined; they show no real person and identify nobody.")
    return 0 if not written.refused else 1 if written.faces else 2


def generate_dataset(database: Path, split: str, folder: Path, config: Config, device: str, count: int = 1) -> None:
    """Draw `count` faces for every clip of a split."""
    from ds2f.dataset import Dataset
    from ds2f.speech2face.files import from_dataset

    with Dataset(database) as dataset:
        model, settings = _model(config, device)
        with bar("generate") as shown:
            written = from_dataset(model, dataset, split, folder, count, config.generate.seed, settings, shown.update)
    number = "one" if count == 1 else str(count)
    out.print(f"{len(written.faces):,} faces in {folder}, {number} per clip. They are imagined and identify nobody.")


def evaluate(
    database: Path, images: dict[str, Path], split: str, folder: Path, config: Config, guided: bool = False
) -> None:
    """Measure folders of images against the true faces of a split; guided: also how well spoilt faces are completed."""
    if not images and not guided:
        raise UserError("Give what shall be measured: --images [NAME=]FOLDER, or --guided.")
    _must_open(database)
    from ds2f.evaluation.guided import Restorer
    from ds2f.evaluation.run import evaluate as measure
    from ds2f.evaluation.summary import print_summary

    model = config.path(config.generate.model) if config.generate.model else None
    inception = config.evaluate.inception and str(config.path(config.evaluate.inception))
    settings = replace(config.evaluate, inception=inception)
    with bar("evaluate") as shown:

        def restoring(done: int, total: int) -> None:
            shown.begin("restore")
            shown.update(done, total)

        restorer = Restorer(*_model(config, "auto"), config.generate.seed, restoring) if guided else None
        result = measure(
            database, images, split, folder, settings, model_folder=model, progress=shown.update,
            restorer=restorer,
        )  # fmt: skip
    print_summary(result)
    out.print(f"Report: {folder / 'report.html'}   Numbers: {folder / 'metrics.json'}")


def compare(first: Path, second: Path, methods: tuple[str | None, str | None], config: Config) -> None:
    """Print the paired differences of two evaluations. methods: a name for each; None: its first pictures."""
    from ds2f.evaluation.compare import compare as measure
    from ds2f.evaluation.summary import print_comparison

    print_comparison(measure(first, second, *methods, draws=config.evaluate.bootstrap))


def match(voice: Path, faces: Sequence[Path], folder: Path | None, config: Config) -> int:
    """Say which face fits a voice best. Returns 0, or 1 if some picture shows no usable face."""
    for path, what in ((voice, "recording"), *((face, "picture") for face in faces)):
        if not path.exists():  # said now, and not after the models are loaded
            raise UserError(f"There is no {what} {path}; check the path.")
    from rich.table import Table

    from ds2f.evaluation.match import Matcher

    found = Matcher(folder, config.audio).match(voice, faces)
    for path, reason in found.refused:
        err.print(f"ds2f match: {path}: {reason}", markup=False)
    table = Table(box=None, padding=(0, 3, 0, 0))
    for title in ("face", "fits the voice", "of these, the one"):
        table.add_column(title, justify="left" if title == "face" else "right")
    for m in found.faces:
        table.add_row(str(m.face), f"{100 * m.fits:.0f} %", f"{100 * m.share:.0f} %")
    table.add_row("chance", "50 %", f"{100 / len(found.faces):.0f} %")
    out.print(table)
    err.print("A voice says little about a face. This is a guess over many people and identifies nobody.")
    return 1 if found.refused else 0


def verify(trials: Path, root: Path, encoder: str | None, folder: Path, config: Config, device: str) -> None:
    """Check a speaker encoder on a list of trials."""
    from ds2f.evaluation.verification import read_trials
    from ds2f.evaluation.verification import verify as measure
    from ds2f.models.store import pick_device
    from ds2f.speech2face.files import make_folder
    from ds2f.voice.encoders import FRAMES, load

    wanted = read_trials(trials)
    make_folder(folder)
    spec = encoder or next((s for s in config.audio.encoders if s != FRAMES), "campplus")
    loaded = load(spec, str(pick_device(device)))
    with bar("verify") as shown:
        found = measure(wanted, root, loaded, config.audio, folder, config.evaluate.bootstrap, shown.update)
    for path, reason in list(found.refused.items())[:REFUSED_SHOWN]:
        err.print(f"ds2f verify: {path}: {reason}", markup=False)
    if len(found.refused) > REFUSED_SHOWN:
        err.print(f"ds2f verify: and {len(found.refused) - REFUSED_SHOWN:,} more, all named in verification.json")
    low, high = found.eer_interval
    out.print(f"{found.encoder}: {found.trials:,} trials, {found.left_out:,} left out")
    out.print(f"equal error rate {100 * found.eer:.1f} % [{100 * low:.1f}-{100 * high:.1f}]")
    out.print(f"minDCF {found.min_dcf_01:.3f} at P_target 0.01, {found.min_dcf_05:.3f} at 0.05")
    out.print(f"Curve: {folder / 'roc.png'}   Numbers: {folder / 'verification.json'}")


def run(config: Config, workers: int) -> None:
    """Every arrow, from ds2f.toml; each does only what is missing."""
    from ds2f.evaluation.run import refuse_leaks
    from ds2f.training.command import TRAIN

    paths = config.paths
    if unknown := set(config.train.models) - set(TRAIN):
        raise UserError(f"[train] models: there is no {min(unknown)!r}; choose of {', '.join(TRAIN)}.")
    if not paths.videos:
        raise UserError("[paths] videos in ds2f.toml is empty; name the folders of videos there (see: ds2f init).")
    database, runs = config.path(paths.database), config.path(paths.runs)
    ingest(database, [config.path(p) for p in paths.videos], "video", config)
    if paths.stills:
        ingest(database, [config.path(p) for p in paths.stills], "still", config)
    extract(database, config, workers)
    if not config.evaluate.allow_leak:
        refuse_leaks(database, config.evaluate.split)  # now, and not after hours of training
    for name in config.train.models:
        folder = train(name, database, runs, config)
        if not config.generate.model:
            config = replace(config, generate=replace(config.generate, model=str(folder.absolute())))
    faces, report = config.path(paths.faces), config.path(paths.report)
    generate_dataset(database, config.evaluate.split, faces, config, config.train.device)
    evaluate(database, {"ds2f": faces}, config.evaluate.split, report, config)


def named_folders(values: Sequence[str]) -> dict[str, Path]:
    """NAME=FOLDER or FOLDER arguments to {name: folder}. Raises UserError for two of the same name."""
    found: dict[str, Path] = {}
    for value in values:
        name, _, folder = value.rpartition("=")
        name = name or Path(folder).name or "images"
        if name in found:
            raise UserError(f"Two --images are called {name!r}; name them: --images NAME=FOLDER.")
        found[name] = Path(folder)
    return found


def _model(config: Config, device: str) -> tuple[Speech2Face, Settings]:
    """The model of the configuration and how to use it; refuses what cannot work before the model is used."""
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.settings import GUIDED, Settings, check

    chosen = config.generate
    guidance: float | dict[str, float] = chosen.guidance
    if chosen.guide_guidance != 1.0:
        guidance = {**dict.fromkeys(GUIDED[1:], chosen.guidance), "guide": chosen.guide_guidance}
    names = ("steps", "voice_guidance", "temperature", "noise", "direct", "sampler", "fast")
    settings = Settings(guidance=guidance, **{name: getattr(chosen, name) for name in names})
    check(settings, chosen.count)
    folder = config.path(chosen.model)
    name = None if not chosen.model else folder if folder.is_dir() else chosen.model
    return Speech2Face.from_pretrained(name, device=device, audio=config.audio, size=chosen.size or None), settings


def _must_open(database: Path) -> None:
    """Say that a database cannot be used before torch is loaded, which takes seconds. Raises UserError."""
    from ds2f.dataset import Dataset

    with Dataset(database):
        pass
