"""The command line: a table of commands, and the one place where what they raise becomes a sentence and an exit code.

A command is a file of this room: HELP, its arguments, and `run`, which says what its functions return. `--help` never
imports torch: whatever is heavy is imported by the command that needs it, when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from ds2f import __version__
from ds2f.cli import (
    compare,
    completion,
    demo,
    describe,
    doctor,
    download,
    evaluate,
    export,
    extract,
    forget,
    generate,
    ingest,
    init,
    match,
    merge,
    push,
    run,
    serve,
    status,
    train,
    verify,
)
from ds2f.cli.arguments import EXIT_USER_ERROR, Parser
from ds2f.errors import ItemError, UserError

EXIT_INTERRUPTED = 130


class Command(Protocol):
    """HELP: what it does, for `ds2f --help`; run returns the exit code, None for 0."""

    HELP: str

    def add_arguments(self, sub: argparse.ArgumentParser, /) -> None: ...

    def run(self, options: argparse.Namespace, /) -> int | None: ...


COMMANDS: dict[str, Command] = {
    "init": init,
    "download": download,
    "ingest": ingest,
    "extract": extract,
    "merge": merge,
    "status": status,
    "export": export,
    "train": train,
    "generate": generate,
    "evaluate": evaluate,
    "compare": compare,
    "describe": describe,
    "match": match,
    "verify": verify,
    "serve": serve,
    "push": push,
    "forget": forget,
    "doctor": doctor,
    "completion": completion,
    "run": run,
    "demo": demo,
}
"""In the order of `ds2f --help`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ds2f`. Returns the exit code: 0 done, 1 partly done, 2 a mistake to mend, 130 stopped."""
    options = build_parser().parse_args(arguments)
    from ds2f.cli.console import err

    try:
        return int(COMMANDS[options.command].run(options) or 0)
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
    parser.set_defaults(parser=parser)  # for `ds2f completion`, which writes down all of it
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        text = command.HELP
        command.add_arguments(subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}."))
    return parser
