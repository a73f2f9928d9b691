"""`ds2f verify`: measures speaker encoders on a list of trials."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, config_of, positive
from ds2f.cli.models import add_device
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config
    from ds2f.evaluation.speakers.encoding import NamedEncoder
    from ds2f.evaluation.speakers.records import Options, Verification
    from ds2f.evaluation.speakers.trials import Trial

REFUSED_SHOWN = 20  # recordings that could not be used
SHOWN = 3  # speakers
FOLDS = "folds"
FEW = 50  # recordings, which are embedded faster than PyTorch is imported


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument(
        "trials", type=Path, metavar="TRIALS", help="lines of `1 path path` (0: two speakers) or `path path target`"
    )
    sub.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help="that paths are relative to")
    shown = "speaker encoder, or folder of ds2f train voice; may be repeated (default: first configured one for telling"
    sub.add_argument(
        "--encoder", action="append", default=[], metavar="SPEC", help=f"{shown} speakers apart, else campplus)"
    )
    shown = "scores of another program, `path path score`, to compare with; may be repeated"
    sub.add_argument("--scores", action="append", type=Path, default=[], metavar="FILE", help=shown)
    shown = "clip lengths, such as 2,6 (default: clip_seconds of the configuration, 6; with --whole everything)"
    sub.add_argument("--seconds", type=_seconds, metavar="S,...", help=shown)
    shown = "crops per recording; with --whole --seconds 4.015, 10 is voxceleb_trainer's scoring"
    sub.add_argument("--crops", type=positive, default=1, metavar="N", help=shown)
    sub.add_argument("--whole", action="store_true", help="keep the pauses, as most toolkits do")
    shown = "also measure recordings passed through these codecs: telephone, opus8, aac16, ..."
    sub.add_argument("--codec", type=_codecs, default=(), metavar="NAME,...", help=shown)
    shown = "for adaptive s-norm: recordings of other speakers, one per line, or a ds2f dataset (its train split)"
    sub.add_argument("--cohort", type=Path, metavar="FILE", help=shown)
    sub.add_argument(
        "--top", type=positive, default=300, metavar="N", help="closest speakers of it to use (default: 300)"
    )
    shown = "calibrate to log-likelihood ratios on LIST, or on the other speakers of this list; fuses encoders"
    sub.add_argument("--calibrate", nargs="?", const=FOLDS, default="", metavar="LIST", help=shown)
    shown = "who speaks, if the folders do not say: a table with path, speaker, gender, or Kaldi's utt2spk"
    sub.add_argument("--speakers", type=Path, metavar="FILE", help=shown)
    sub.add_argument("--out", type=Path, default=Path("verification"), metavar="FOLDER", help="default: verification")
    add_device(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import bar
    from ds2f.evaluation.speakers.run import verify
    from ds2f.evaluation.speakers.trials import read_scores, read_trials
    from ds2f.io.files import make_folder

    config = config_of(options)
    trials = read_trials(options.trials)
    others = _others(options.scores)
    development = read_trials(Path(options.calibrate)) if options.calibrate not in ("", FOLDS) else []
    make_folder(options.out)
    encoders = (
        [] if options.scores and not options.encoder else _encoders(options.encoder, config, options.device, trials)
    )
    with bar("verify") as shown:
        found = verify(
            trials,
            options.root,
            encoders,
            config.audio,
            options.out,
            _options(options, config),
            development,
            {name: read_scores(path, trials) for name, path in others.items()},
            shown.update,
        )
    print_verification(found, options.out)


def _seconds(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0.1 <= seconds <= 3600 for seconds in found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"must be seconds, at least 0.1, such as 6 or 2,4, not {text!r}")
    return found


def _codecs(text: str) -> tuple[str, ...]:
    from ds2f.io.codecs import check_codec

    try:
        return tuple(dict.fromkeys(check_codec(name.strip()) for name in text.split(",")))
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _others(files: Sequence[Path]) -> dict[str, Path]:
    named = {path.stem: path for path in files}
    if len(named) < len(files):
        raise UserError("Two files of --scores have the same name, which is their label; rename one.")
    return named


def _options(options: argparse.Namespace, config: Config) -> Options:
    from ds2f.evaluation.speakers.records import Options

    usual = () if options.whole else (config.audio.clip_seconds[0],)
    if options.whole and options.crops > 1 and not options.seconds:
        raise UserError("Several crops of a whole recording need a length; give --seconds too, such as --seconds 4.")
    return Options(
        seconds=options.seconds or usual,
        crops=options.crops,
        whole=options.whole,
        codecs=options.codec,
        cohort=options.cohort,
        top=options.top,
        calibrate=options.calibrate,
        speakers=options.speakers,
        bootstrap=config.evaluate.bootstrap,
        allow_leak=config.evaluate.allow_leak,
    )


def _encoders(specs: Sequence[str], config: Config, device: str, trials: Sequence[Trial]) -> list[NamedEncoder]:
    from ds2f.evaluation.speakers.encoding import NamedEncoder
    from ds2f.models.processor import on_cpu
    from ds2f.voice.encoders import FRAMES, load

    usual = next((s for s in config.audio.encoders if s != FRAMES), "campplus")
    wanted = [f"ds2f:{spec}" if Path(spec).is_dir() else spec for spec in specs or (usual,)]
    if len(set(wanted)) < len(wanted):
        raise UserError("An encoder is named twice; name each once.")
    recordings = {path for trial in trials for path in (trial.first, trial.second)}
    precision = config.audio.precision if len(recordings) > FEW else "float32"
    where = "cpu"
    if not on_cpu(device):
        from ds2f.models.store import pick_device

        where = str(pick_device(device))
    encoders = [NamedEncoder(load(spec, where, precision), spec, _stamp(spec)) for spec in wanted]
    names = [encoder.name for encoder in encoders]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"Two encoders are called {twice[0]}; rename the folder or file of one.")
    return encoders


def _stamp(spec: str) -> str:
    """A value that changes with an encoder's file, or the newest file in its folder; with ds2f's version for
    built-in ones."""
    from ds2f import __version__

    place = Path(spec.partition(":")[2]).expanduser()
    files = [place] if place.is_file() else list(place.glob("*.*")) if ":" in spec and place.is_dir() else []
    newest = max((file.stat().st_mtime_ns for file in files), default=0)
    return str(newest) if newest else __version__


def print_verification(found: Verification, out_folder: Path) -> None:
    """Print a table of systems, one of groups, and what a reader needs to know about them."""
    from ds2f.cli.console import err, out

    for path, reason in list(found.refused.items())[:REFUSED_SHOWN]:
        err.print(f"ds2f verify: {path}: {reason}")
    if len(found.refused) > REFUSED_SHOWN:
        err.print(f"ds2f verify: and {len(found.refused) - REFUSED_SHOWN:,} more, all listed in verification.json")
    for sure, by_encoder in (("was", found.trained_on), ("may have been", found.perhaps_trained_on)):
        for encoder, names in by_encoder.items():
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            err.print(f"{encoder} {sure} trained on {len(names):,} of the speakers: {', '.join(names[:SHOWN])}{more}.")
    people = {"layout": "", "folders": ", by their folders", "table": "", "list": ", inferred from the list"}
    out.print(
        f"{found.trials:,} trials, {found.same:,} of one speaker; {found.speakers:,} speakers{people[found.told_by]}; "
        f"{found.left_out:,} left out. {found.scoring[:1].upper()}{found.scoring[1:]}."
    )
    if found.cohort:
        met = f"; {len(found.cohort_left_out):,} who also speak in the trials left out" if found.cohort_left_out else ""
        out.print(f"Cohort: {found.cohort:,} speakers{met}.")
    _print_systems(found)
    _print_groups(found)
    out.print(
        f"Plot: {out_folder / 'det.png'}   Numbers: {out_folder / 'verification.json'}   "
        f"Scores: {out_folder / 'scores'}"
    )


def _print_systems(found: Verification) -> None:
    """By condition, if there are several."""
    from ds2f.cli.console import columns, interval, out

    table = columns("system", "EER %", "minDCF .01", ".05", "Cllr (min)")
    conditions = list(dict.fromkeys(system.condition for system in found.systems))
    for condition in conditions:
        if len(conditions) > 1:
            table.add_row(f"{condition}:")
        for system in (s for s in found.systems if s.condition == condition):
            rates, steps = system.rates, {"plain": "", "calibrated, quality": ", with quality"}
            table.add_row(
                "  " * (len(conditions) > 1) + system.name + steps.get(system.steps, f", {system.steps}"),
                interval(rates.eer, 100, "", ".1f"),
                f"{rates.min_dcf_01.value:.3f}",
                f"{rates.min_dcf_05.value:.3f}",
                f"{system.cllr:.2f} ({system.min_cllr:.2f})",
            )
    out.print(table)


def _print_groups(found: Verification) -> None:
    """For plain and s-normed scores, on unmodified recordings; calibration hardly changes their order."""
    from ds2f.cli.console import columns, interval, out

    first = found.systems[0].condition
    systems = [s for s in found.systems if s.condition == first and s.groups and "calibrated" not in s.steps]
    names = list(dict.fromkeys((g.by, g.name) for s in systems for g in s.groups))
    if not names:
        return
    table = columns(
        "EER % of trials", "trials", *(s.name + (", s-norm" if s.steps == "s-norm" else "") for s in systems)
    )
    for by, name in names:
        of = [next((g for g in s.groups if (g.by, g.name) == (by, name)), None) for s in systems]
        some = next(g for g in of if g is not None)
        what = (name if by == "gender" else f"{name} of speech") + (" (few)" if some.few else "")
        table.add_row(
            what, f"{some.rates.trials:,}", *(interval(g.rates.eer if g else None, 100, "", ".1f") for g in of)
        )
    out.print(table)
