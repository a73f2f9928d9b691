"""The commands beside the data's way: about a voice, a model, a person in the dataset, this machine. As in cli.py,
arguments in, sentences out, and everything heavy is imported by the command that needs it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.cli.arguments import Command, add_database, add_device, add_model, add_size, config_of, database_of


def add(command: Command) -> None:
    sub = command("describe", _describe, "what a voice says of its speaker, and how sure that is")
    sub.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING", help="sound or video, any common format")
    add_model(sub)

    sub = command("match", _match, "which of some faces fits a voice best, and how sure that is")
    sub.add_argument("voice", type=Path, metavar="VOICE", help="sound or video of one speaker")
    sub.add_argument("faces", nargs="+", type=Path, metavar="FACE", help="pictures, one face in each")
    sub.add_argument("--model", type=Path, metavar="FOLDER", help="default: the model that ships with ds2f")

    sub = command("verify", _verify, "how well a speaker encoder tells people apart, by a list of trials")
    sub.add_argument("trials", type=Path, metavar="TRIALS", help="lines of `1 path path`: 1 same speaker, 0 not")
    sub.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help="that the paths are relative to")
    sub.add_argument(
        "--encoder",
        metavar="SPEC",
        help="default: of the configuration the first that tells speakers apart, else campplus",
    )
    sub.add_argument("--out", type=Path, default=Path("verification"), metavar="FOLDER")
    add_device(sub)

    sub = command("serve", _serve, "a page to record a voice and watch faces appear")
    sub.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, this machine alone")
    sub.add_argument("--port", type=int, default=7860, metavar="N", help="default: 7860; 0 = any that is free")
    add_size(sub)
    add_model(sub)

    sub = command(
        "push", _push, "send a model to the Hugging Face Hub, with a card of what was measured", configured=False
    )
    sub.add_argument("model", type=Path, metavar="FOLDER", help="as ds2f train writes it")
    sub.add_argument("repo", metavar="OWNER/NAME", help="made if it is not there")
    sub.add_argument("--metrics", type=Path, metavar="FILE", help="metrics.json of ds2f evaluate, for the card")
    sub.add_argument("--revision", metavar="BRANCH", help="to commit to (default: main)")
    sub.add_argument("--public", action="store_true", help="make a new repository public (default: private)")

    sub = command("forget", _forget, "remove a person: rows, vectors, recordings and faces drawn for them")
    sub.add_argument("identity", metavar="IDENTITY", help="name, or corpus/name")
    add_database(sub)
    sub.add_argument("--faces", type=Path, metavar="FOLDER", help="faces drawn for the dataset (default: configured)")
    sub.add_argument("--keep-files", action="store_true", help="leave the original recordings and pictures")
    sub.add_argument("--yes", action="store_true", help="do not ask")

    command("doctor", _doctor, "what is installed, what is missing, and the command that mends it", configured=False)

    sub = command("completion", _completion, "the script by which a shell completes ds2f's words", configured=False)
    sub.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _describe(options: argparse.Namespace) -> int:
    from ds2f.cli.console import err, out
    from ds2f.errors import ItemError
    from ds2f.io.extras import installed
    from ds2f.speech2face.model import Speech2Face

    config = config_of(options)
    model = Speech2Face.from_pretrained(options.model, device=options.device, audio=config.audio)
    heard = 0
    for path in options.recordings:
        try:
            told = model.describe(path)
        except ItemError as error:
            err.print(f"ds2f describe: {path}: {error.reason}", markup=False)
            continue
        heard += 1
        out.print(f"{path}\n{told}", markup=False)
    if not installed("parselmouth"):
        err.print("Pitch and rate need parselmouth; run: pip install 'ds2f[acoustics]'", markup=False)
    return 0 if heard == len(options.recordings) else 1 if heard else 2


def _match(options: argparse.Namespace) -> int:
    from ds2f.cli import workflow

    return workflow.match(options.voice, options.faces, options.model, config_of(options))


def _verify(options: argparse.Namespace) -> None:
    from ds2f.cli import workflow

    workflow.verify(options.trials, options.root, options.encoder, options.out, config_of(options), options.device)


def _serve(options: argparse.Namespace) -> None:
    from ds2f.page.serve import serve

    config = config_of(options)
    size = options.size or config.generate.size or None
    serve(options.model, options.host, options.port, options.device, config.audio, size)


def _push(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.speech2face import hub

    address = hub.push(options.model, options.repo, options.metrics, options.revision, options.public)
    out.print(f"{options.model} is at {address}", markup=False)
    out.print(f"Use it: ds2f generate talk.wav --out faces --model {options.repo}", markup=False)


def _forget(options: argparse.Namespace) -> None:
    from ds2f.dataset.forget import ask_and_forget

    config = config_of(options)
    faces = options.faces or config.path(config.paths.faces)
    ask_and_forget(database_of(options, config), options.identity, faces, options.keep_files, options.yes)


def _doctor(options: argparse.Namespace) -> int:
    from ds2f.cli.console import out
    from ds2f.cli.doctor import examine

    marks = {"ok": "[green]ok[/]      ", "missing": "[yellow]missing[/] ", "broken": "[bold red]broken[/]  "}
    broken = False
    for found in examine():
        broken |= found.state == "broken"
        out.print(f"{marks[found.state]} {found.part:<12}", end="")
        out.print(found.text, markup=False)
        if found.mend:
            out.print(f"{'':<21}{found.mend}", markup=False)
    return 1 if broken else 0


def _completion(options: argparse.Namespace) -> None:
    import shtab

    from ds2f.cli.parser import build_parser

    parser = build_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for action in (action for sub in commands.choices.values() for action in sub._actions):
        if action.type is Path:
            vars(action)["complete"] = shtab.DIRECTORY if action.metavar == "FOLDER" else shtab.FILE
    print(shtab.complete(parser, options.shell))
