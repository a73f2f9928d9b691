"""The command line: a table of commands, and the one place where exceptions become a sentence and an exit code.

A command is the module of its name in this package: `add_arguments`, and `run`, which prints what its functions return
and returns the exit code (None: 0). Only the requested command is imported, and it imports heavy dependencies when it
runs.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from ds2f import __version__
from ds2f.cli.arguments import EXIT_USER_ERROR, Parser
from ds2f.errors import ItemError, UserError

EXIT_INTERRUPTED = 130
KEEPS_NOTHING = ("check", "compare", "completion", "describe", "doctor", "help", "match", "serve", "status")
"""Commands that leave nothing to resume when they are stopped."""

GROUPS = {
    "Faces for voices": {
        "demo": "the whole pipeline on synthetic people that ship with ds2f",
        "generate": "draw faces for recordings, or one face for every clip of a dataset",
        "describe": "what a voice says about its speaker, and how certain that is",
        "match": "which of several faces fits a voice best, and how certain that is",
        "check": "whether a picture is marked as drawn by ds2f, or as generated: watermark, C2PA, XMP",
        "serve": "a page to record a voice and watch faces appear",
    },
    "A dataset": {
        "init": "write ds2f.toml, with every key explained",
        "download": "download a corpus, as far as its terms allow",
        "ingest": "enter a folder tree of videos, voices or still faces into the dataset",
        "extract": "extract voices, faces and identities from ingested files; only what is missing",
        "merge": "merge what shards have extracted back into their dataset",
        "status": "what is in the dataset, what failed and why",
        "export": "write the dataset as WebDataset shards, Parquet tables or manifests",
        "forget": "remove a person: rows, vectors, recordings and faces drawn for them",
    },
    "A model of your own": {
        "run": "the whole pipeline, from ds2f.toml: ingest, extract, train, generate, evaluate",
        "train": "train a model, or resume training it",
        "convert-voice": "convert weights of voxceleb_trainer, WeSpeaker or 3D-Speaker to a ds2f speaker encoder",
        "push": "upload a model to the Hugging Face Hub, with a card of its measurements",
        "space": "write a folder that runs the page as a Space on the Hugging Face Hub",
    },
    "How well it works": {
        "evaluate": "measure how well faces fit, compared with baselines and other methods",
        "compare": "paired differences between two evaluations, with confidence intervals",
        "verify": "how well a speaker encoder tells people apart, on a list of trials",
        "verify-faces": "whether voices belong to faces, on the lists of Learnable PINs, FAME or 1:N matching",
    },
    "About ds2f": {
        "help": "documentation in the terminal: corpora, wishes, privacy and more; or about a command",
        "doctor": "what is installed, what is missing, and how to install it",
        "completion": "the script with which a shell completes ds2f commands",
    },
}
"""{purpose: {command: what it does}}, in the order of `ds2f --help`."""
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


class Overview(Parser):
    """The parser of all commands: its help groups them, and its error suggests the one that was perhaps meant."""

    def format_help(self) -> str:
        wide = max(map(len, COMMANDS)) + 4
        lines = [self.format_usage(), f"{self.description}\n"]
        for group, commands in GROUPS.items():
            lines.append(f"{group}:")
            for name, text in commands.items():
                (first, *more) = textwrap.wrap(text, max(shutil.get_terminal_size().columns - wide - 2, 20))
                lines += [f"  {name:<{wide - 2}}{first}", *(" " * wide + line for line in more)]
            lines.append("")
        return "\n".join([*lines, "Options of a command: ds2f COMMAND --help", f"{self.epilog}\n"])

    def error(self, message: str) -> NoReturn:
        if wrong := re.match(r"argument COMMAND: invalid choice: '(.*?)'", message):
            like = difflib.get_close_matches(wrong[1], COMMANDS, 1)
            message = f"there is no command {wrong[1]!r}{f', perhaps {like[0]}' if like else ''}"
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ds2f`. Returns the exit code: 0 done, 1 partly done, 2 a user error, 130 stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = next((word for word in arguments if word in COMMANDS), None)
    parser = build_parser([asked] if asked else [])
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # reported by the command, whose --help lists what it knows
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    from ds2f.cli.console import err

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(command_of(options.command).run(options) or 0)
    except KeyboardInterrupt:
        if options.command in KEEPS_NOTHING:
            kept = ""
        elif getattr(options, "recordings", None):  # of generate, which draws them again
            kept = f" What is done is kept; `ds2f {options.command}` again begins from the start."
        else:
            kept = f" What is done is kept; run `ds2f {options.command}` again to resume."
        err.print(f"\nStopped.{kept}")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        sentence = _sentence(error, options.command)
        if sentence is None and _came_of_ctrl_c(error):
            err.print(f"\nStopped. An error occurred while stopping: {error!r}", markup=False)
            return EXIT_INTERRUPTED
        if sentence is None:
            raise  # a bug in ds2f, which needs its traceback
        err.print(f"ds2f {options.command}:", style="bold red", end=" ")
        err.print(sentence)
        return EXIT_USER_ERROR


def _sentence(error: Exception, command: str) -> str | None:
    """What the user can do about an error; None if nothing."""
    from ds2f.io.extras import lacking
    from ds2f.io.files import disk_trouble

    if isinstance(error, UserError | ItemError):
        return str(error)
    return lacking(error, command) if isinstance(error, ImportError) else disk_trouble(error)


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error was raised while Ctrl-C was being handled: a library that cleans up badly then raises another
    error, with the KeyboardInterrupt as its context."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def build_parser(filled: Collection[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser. filled: commands whose arguments are added; without the others it is built much faster."""
    parser = Overview(
        prog="ds2f",
        description="DiffusionSpeech2Face: hears a voice and draws the face that could belong to it.",
        epilog="A first look: ds2f demo. Your own recording: ds2f generate talk.wav --out faces",
    )
    parser.add_argument("--version", action="version", version=f"ds2f {__version__}")
    parser.set_defaults(build_parser=build_parser)  # for `ds2f completion`, which needs all of it
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name, text in COMMANDS.items():
        sub = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(parser=sub)
        if name in filled:
            command_of(name).add_arguments(sub)
    return parser


def command_of(command: str) -> ModuleType:
    return import_module(f"ds2f.cli.{command.replace('-', '_')}")
