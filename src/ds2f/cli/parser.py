"""The command line: a table of commands, and the one place where what they raise becomes a sentence and an exit code.

A command is the file of its name in this room: `add_arguments`, and `run`, which says what its functions return and
gives back the exit code (None: 0). Only the one that is asked for is imported, and it imports what is heavy when it
runs.
"""

from __future__ import annotations

import argparse
import difflib
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
"""Commands that leave nothing to go on with when they are stopped."""

GROUPS = {
    "Faces for voices": {
        "demo": "the whole way on the synthetic people that ship with ds2f",
        "generate": "draw faces for recordings, or one face for every clip of a dataset",
        "describe": "what a voice says of its speaker, and how sure that is",
        "match": "which of some faces fits a voice best, and how sure that is",
        "check": "whether a picture says that ds2f drew it, or that it is generated: watermark, C2PA, XMP",
        "serve": "a page to record a voice and watch faces appear",
    },
    "A dataset": {
        "init": "write ds2f.toml, with every key explained",
        "download": "get a corpus, as far as its owners let you",
        "ingest": "enter a folder tree of videos, voices or still faces into the dataset",
        "extract": "get voices, faces and identities out of what was ingested; only what is missing",
        "merge": "take what shards have extracted into the dataset they are parts of",
        "status": "what is in the dataset, what failed and why",
        "export": "write the dataset as WebDataset shards, Parquet tables or manifests",
        "forget": "remove a person: rows, vectors, recordings and faces drawn for them",
    },
    "A model of your own": {
        "run": "all of it, from ds2f.toml: ingest, extract, train, generate, evaluate",
        "train": "train a model, or go on training it",
        "convert-voice": "make weights of voxceleb_trainer, WeSpeaker or 3D-Speaker a speaker encoder of ds2f",
        "push": "send a model to the Hugging Face Hub, with a card of what was measured",
        "space": "a folder that runs the page as a Space of the Hugging Face Hub",
    },
    "How well it works": {
        "evaluate": "measure how well faces fit, beside baselines and other methods",
        "compare": "paired differences of two evaluations, with intervals",
        "verify": "how well a speaker encoder tells people apart, by a list of trials",
        "verify-faces": "whether voices belong to faces, by the lists of Learnable PINs, FAME or 1:N matching",
    },
    "About ds2f": {
        "help": "pages to read here: corpora, wishes, privacy and more; or about a command",
        "doctor": "what is installed, what is missing, and the command that mends it",
        "completion": "the script by which a shell completes ds2f's words",
    },
}
"""{what one wants: {command: what it does}}, in the order of `ds2f --help`."""
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


class Overview(Parser):
    """The parser of all commands: its help shows them in groups, its error the one that was perhaps meant."""

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
    """Entry point of `ds2f`. Returns the exit code: 0 done, 1 partly done, 2 a mistake to mend, 130 stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = next((word for word in arguments if word in COMMANDS), None)
    parser = build_parser([asked] if asked else [])
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # said by the command, whose --help has what is known
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    from ds2f.cli.console import err

    try:
        return int(command_of(options.command).run(options) or 0)
    except KeyboardInterrupt:
        if options.command in KEEPS_NOTHING:
            kept = ""
        elif getattr(options, "recordings", None):  # of generate, which draws them anew
            kept = f" What is done is kept; `ds2f {options.command}` again begins from the start."
        else:
            kept = f" What is done is kept; run `ds2f {options.command}` again to go on."
        err.print(f"\nStopped.{kept}")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        sentence = _sentence(error, options.command)
        if sentence is None and _came_of_ctrl_c(error):
            err.print(f"\nStopped. On the way out something failed: {error!r}", markup=False)
            return EXIT_INTERRUPTED
        if sentence is None:
            raise  # a mistake of ours, which nobody shall look for without its traceback
        err.print(f"ds2f {options.command}:", style="bold red", end=" ")
        err.print(sentence)
        return EXIT_USER_ERROR


def _sentence(error: Exception, command: str) -> str | None:
    """What a person can do about an error, None if that is nothing."""
    from ds2f.io.extras import lacking
    from ds2f.io.files import disk_trouble

    if isinstance(error, UserError | ItemError):
        return str(error)
    return lacking(error, command) if isinstance(error, ImportError) else disk_trouble(error)


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """A library that cleans up badly while a ctrl-C passes raises something else, with the ctrl-C as its context."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def build_parser(filled: Collection[str] = COMMANDS) -> argparse.ArgumentParser:
    """filled: commands whose arguments are there too; without the others it is ready in no time."""
    parser = Overview(
        prog="ds2f",
        description="DiffusionSpeech2Face: hears a voice and draws the face that could belong to it.",
        epilog="A first look: ds2f demo. Your own recording: ds2f generate talk.wav --out faces",
    )
    parser.add_argument("--version", action="version", version=f"ds2f {__version__}")
    parser.set_defaults(build_parser=build_parser)  # for `ds2f completion`, which writes down all of it
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name, text in COMMANDS.items():
        sub = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(parser=sub)
        if name in filled:
            command_of(name).add_arguments(sub)
    return parser


def command_of(command: str) -> ModuleType:
    return import_module(f"ds2f.cli.{command.replace('-', '_')}")
