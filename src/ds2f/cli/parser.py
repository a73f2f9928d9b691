"""The command line: arguments in, calls to the rooms, sentences out. No logic lives here, and `--help` never
imports torch: every command imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ds2f import __version__
from ds2f.cli import commands
from ds2f.cli.arguments import (
    EXIT_USER_ERROR,
    Command,
    Parser,
    add_config,
    add_database,
    add_model,
    add_out,
    add_size,
    config_of,
    database_of,
    positive,
)
from ds2f.errors import ItemError, UserError

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ds2f`. Returns the exit code: 0 done, 1 partly done, 2 a mistake to mend, 130 stopped."""
    options = build_parser().parse_args(arguments)
    from ds2f.cli.console import err

    try:
        return int(options.run(options) or 0)
    except KeyboardInterrupt:
        err.print(f"\nStopped. What is done is kept; run `ds2f {options.command}` again to go on.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from ds2f.io.files import disk_trouble

        sentence = str(error) if isinstance(error, UserError | ItemError) else disk_trouble(error)
        if sentence is None:
            raise  # a mistake of ours, which nobody shall look for without its traceback
        err.print(f"[bold red]ds2f {options.command}:[/] ", end="")
        err.print(sentence, markup=False)
        return EXIT_USER_ERROR


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ds2f",
        description="DiffusionSpeech2Face: hears a voice and draws the face that could belong to it.",
        epilog="A first look: ds2f demo.  Your own recording: ds2f generate talk.wav --out faces",
    )
    parser.add_argument("--version", action="version", version=f"ds2f {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str, configured: bool = True) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(run=run)
        if configured:
            add_config(sub)
        return sub

    command("init", _init, "write ds2f.toml, with every key explained")
    _dataset_commands(command)
    _model_commands(command)
    _measuring_commands(command)
    commands.add(command)

    sub = command("run", _run, "all of it, from ds2f.toml: ingest, extract, train, generate, evaluate")
    sub.add_argument(
        "--workers", type=positive, metavar="N", default=os.cpu_count() or 1, help="processes (default: all cores)"
    )

    sub = command("demo", _demo, "the whole way on the synthetic people that ship with ds2f", configured=False)
    sub.add_argument("--out", type=Path, default=Path("demo-out"), metavar="FOLDER", help="default: demo-out")
    sub.add_argument(
        "--workers", type=positive, metavar="N", default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    return parser


def _dataset_commands(command: Command) -> None:
    sub = command("download", _download, "get a corpus, as far as its owners let you")
    sub.add_argument("corpus", choices=("voxceleb1", "voxceleb2", "avspeech"))
    sub.add_argument("urls", nargs="*", metavar="URL", help="VoxCeleb: the addresses that its authors gave you")
    sub.add_argument("--urls-from", type=Path, metavar="FILE", help="a file of addresses, one a line")
    add_out(sub, "what is there is not fetched again")
    sub.add_argument(
        "--user", metavar="NAME", help="your name at the server; the password is asked for, or DS2F_PASSWORD"
    )
    sub.add_argument("--checksums", type=Path, metavar="FILE", help="lines of MD5 sum and file name")
    sub.add_argument("--keep", action="store_true", help="keep archives after unpacking")
    sub.add_argument("--csv", type=Path, metavar="FILE", help="AVSpeech: avspeech_train.csv or avspeech_test.csv")
    sub.add_argument("--limit", type=positive, metavar="N", help="AVSpeech: only the first N segments of the list")
    sub.add_argument("--pause", type=float, default=3.0, metavar="SECONDS", help="AVSpeech: between two videos (3)")
    sub.add_argument("--retry-failed", action="store_true", help="AVSpeech: ask again for videos that were gone")
    sub.add_argument("--accept-terms", action="store_true", help="you have read and accept the corpus's terms")

    sub = command("ingest", _ingest, "enter a folder tree of videos (or still faces) into the dataset")
    sub.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder, or uncompressed tar of pictures")
    sub.add_argument(
        "--kind", choices=("videos", "faces"), default="videos", help="recordings, or still pictures of faces"
    )
    add_database(sub)

    sub = command(
        "extract", _extract, "get voices, faces and identities out of what was ingested; only what is missing"
    )
    add_database(sub)
    sub.add_argument(
        "--workers", type=positive, metavar="N", default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    sub.add_argument("--retry-failed", action="store_true", help="try the failed files once more")
    sub.add_argument("--engine", choices=("local", "ray"), help="processes of this machine, or a Ray cluster")
    sub.add_argument("--ray-address", metavar="ADDRESS", help="of a running cluster, or auto (default: start one here)")
    sub.add_argument("--shard", default="", metavar="I/N", help="do this part, in a database of its own: see merge")

    sub = command("merge", _merge, "take what shards have extracted into the dataset they are parts of")
    sub.add_argument("shards", nargs="+", type=Path, metavar="SHARD.db")
    add_database(sub)

    sub = command("status", _status, "what is in the dataset, what failed and why")
    add_database(sub)
    sub.add_argument("--json", action="store_true", help="for programs")

    sub = command("export", _export, "write the dataset as WebDataset shards or Parquet tables")
    sub.add_argument("--format", choices=("webdataset", "parquet"), required=True)
    add_out(sub, "to write to")
    sub.add_argument("--split", action="append", choices=("train", "val", "test"), help="only this; may be given again")
    sub.add_argument("--encoder", action="append", metavar="NAME", help="only its vectors; may be given again")
    sub.add_argument("--shard-mb", type=positive, default=256, metavar="MB", help="size of a shard (default: 256)")
    add_database(sub)


def _model_commands(command: Command) -> None:
    sub = command("train", _train, "train a model, or go on training it")
    sub.add_argument("model", choices=("prior", "decoder", "fast-decoder", "attributes", "alignment"))
    add_database(sub)
    sub.add_argument("--runs", type=Path, metavar="FOLDER", help="of checkpoints (default: from the configuration)")
    sub.add_argument(
        "--recipe", metavar="NAME", help="cpu-small, gpu-20min and more (docs/training.md), or your own TOML file"
    )
    sub.add_argument("--dry-run", action="store_true", help="only say what would be done, with which memory and time")

    sub = command("generate", _generate, "draw faces for recordings, or one face for every clip of a dataset")
    sub.add_argument("recordings", nargs="*", type=Path, metavar="RECORDING", help="sound or video, any common format")
    sub.epilog = "What is not given here comes from [generate] of ds2f.toml."
    add_out(sub, "for pictures and generation.json")
    sub.add_argument("--database", type=Path, metavar="FILE", help="instead of recordings: the clips of this dataset")
    sub.add_argument(
        "--split", choices=("train", "val", "test"), default="test", help="with --database (default: test)"
    )
    sub.add_argument("--count", type=positive, metavar="N", help="faces per recording (4) or per clip of a dataset (1)")
    sub.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same face")
    sub.add_argument("--steps", type=positive, metavar="N", help="sampler steps: more is finer and slower")
    sub.add_argument("--sampler", choices=("multistep", "heun", "euler"), help="how the steps are taken")
    sub.add_argument(
        "--guidance",
        type=float,
        metavar="WEIGHT",
        help="how strictly to follow voice and wishes; 1 = no guidance",
    )
    sub.add_argument(
        "--voice-guidance", type=float, metavar="WEIGHT", help="how far to depart from the average as the voice says"
    )
    sub.add_argument("--temperature", type=float, metavar="T", help="0 = the most typical person, 1 = all variety")
    sub.add_argument("--noise", type=float, metavar="SCALE", help="below 1 calmer pictures, 1 = all variety")
    sub.add_argument("--age", type=float, metavar="YEARS", help="a wish: a person of this age")
    sub.add_argument("--gender", choices=("male", "female"), help="a wish")
    sub.add_argument("--ethnicity", choices=("White", "Black", "Asian", "Indian", "Others"), help="a wish, never heard")
    sub.add_argument("--language", metavar="CODE", help="spoken language, such as en, for a decoder that knows it")
    sub.add_argument("--guide", type=Path, metavar="PICTURE", help="a blurred, pixelated or small picture to complete")
    sub.add_argument(
        "--guide-guidance", type=float, metavar="WEIGHT", help="how strictly to follow it; 1 = no guidance"
    )
    sub.add_argument(
        "--fine", dest="fast", action="store_const", const=False, help="let the decoder itself draw, not the fast one"
    )
    sub.add_argument(
        "--direct", action="store_const", const=True, help="let the decoder hear the voice itself, without the prior"
    )
    add_size(sub)
    add_model(sub)


def _measuring_commands(command: Command) -> None:
    sub = command("evaluate", _evaluate, "measure how well faces fit, beside baselines and other methods")
    shown = "generated faces; may be given again"
    sub.add_argument("--images", action="append", default=[], metavar="[NAME=]FOLDER", help=shown)
    sub.add_argument("--guided", action="store_true", help="measure how well spoilt faces are completed")
    shown = "whose alignment, and with --guided whose pictures, are measured (default: what ships with ds2f)"
    sub.add_argument("--model", help=shown)
    add_database(sub)
    sub.add_argument("--split", choices=("train", "val", "test"), help="default: from the configuration, test")
    sub.add_argument("--allow-leak", action="store_true", help="measure although test and train overlap, and name it")
    add_out(sub, "to write to")

    sub = command("compare", _compare, "paired differences of two evaluations, with intervals")
    sub.add_argument("first", type=Path, metavar="A.json", help="metrics.json of ds2f evaluate")
    sub.add_argument("second", type=Path, metavar="B.json", help="another, of the same clips")
    sub.add_argument("--first-method", metavar="NAME", help="default: the first folder of images there")
    sub.add_argument("--second-method", metavar="NAME", help="default: the same name, or the first folder of images")


def _init(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.config import FILE_NAME, write_default

    path = options.config or Path(FILE_NAME)
    write_default(path)
    out.print(f"Wrote {path}. Next: ds2f ingest FOLDER")


def _download(options: argparse.Namespace) -> None:
    from ds2f.corpora.download import command

    command.accept_terms(options.corpus, options.accept_terms)
    if options.corpus == "avspeech":
        if options.csv is None:
            raise UserError("Give the list of segments: --csv avspeech_test.csv, from the corpus's page.")
        command.download_avspeech(options.csv, options.out, options.limit, options.pause, options.retry_failed)
        return
    addresses = [*options.urls, *command.read_addresses(options.urls_from)]
    command.download_voxceleb(addresses, options.out, options.user, options.checksums, options.keep)


def _ingest(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow
    from ds2f.cli.console import out

    config = config_of(options)
    database, kind = database_of(options, config), "video" if options.kind == "videos" else "still"
    workflow.ingest(database, options.folders, kind, config)
    out.print(f"The dataset is {database}. Next: ds2f extract{f' --database {database}' if options.database else ''}")


def _extract(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from ds2f.cli import workflow

    config = config_of(options)
    given = {"engine": options.engine, "ray_address": options.ray_address}
    config = replace(config, extract=replace(config.extract, **{k: v for k, v in given.items() if v is not None}))
    workflow.extract(database_of(options, config), config, options.workers, options.retry_failed, options.shard)


def _merge(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow

    workflow.merge(database_of(options, config_of(options)), options.shards)


def _export(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow

    splits, encoders = dict.fromkeys(options.split or ()), options.encoder or ()
    database = database_of(options, config_of(options))
    workflow.export(database, options.format, options.out, list(splits), encoders, options.shard_mb)


def _status(options: argparse.Namespace) -> None:
    from ds2f.dataset.status import as_json, print_status

    path = database_of(options, config_of(options))
    as_json(path) if options.json else print_status(path)


def _train(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow

    config = config_of(options)
    if options.recipe:
        from ds2f.config import with_recipe

        config = with_recipe(config, options.recipe)
    runs = options.runs or config.path(config.paths.runs)
    if options.dry_run:
        from ds2f.training.command import dry_run

        return dry_run(options.model, database_of(options, config), runs, config)
    workflow.train(options.model, database_of(options, config), runs, config)


def _generate(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from ds2f.cli import workflow
    from ds2f.speech2face.wishes import make_wish

    config = config_of(options)
    names = ["count", "seed", "steps", "sampler", "guidance", "guide_guidance", "voice_guidance"]
    names += ["temperature", "noise", "direct", "fast", "size"]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.model:
        given["model"] = _absolute(options.model)
    config = replace(config, generate=replace(config.generate, **given))
    if bool(options.recordings) == bool(options.database):
        raise UserError("Give either recordings, or --database FILE with --split.")
    wishes = (options.age, options.gender, options.ethnicity, options.guide, options.language)
    if options.database and any(wish is not None for wish in wishes):
        raise UserError("Wishes such as --age and --guide are for recordings; leave them out with --database.")
    if options.database:
        workflow.generate_dataset(
            options.database, options.split, options.out, config, options.device, options.count or 1
        )
        return 0
    wish = make_wish(*wishes)
    return workflow.generate_files(options.recordings, options.out, config, options.device, wish)


def _absolute(model: str) -> str:
    """A folder on its own; an id on the Hub as it is. Relative paths of a configuration would start at its file."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def _evaluate(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from ds2f.cli import workflow

    config = config_of(options)
    images = workflow.named_folders(options.images)
    split = options.split or config.evaluate.split
    if options.allow_leak:
        config = replace(config, evaluate=replace(config.evaluate, allow_leak=True))
    if options.model:
        config = replace(config, generate=replace(config.generate, model=_absolute(options.model)))
    workflow.evaluate(database_of(options, config), images, split, options.out, config, options.guided)


def _compare(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow

    methods = (options.first_method, options.second_method)
    workflow.compare(options.first, options.second, methods, config_of(options))


def _run(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow

    workflow.run(config_of(options), options.workers)


def _demo(options: argparse.Namespace) -> None:
    from ds2f.demo.run import run_demo

    run_demo(options.out, options.workers)


if __name__ == "__main__":
    sys.exit(main())
