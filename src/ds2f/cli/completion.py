"""`ds2f completion`: the script with which a shell completes ds2f commands. (Completing a face is `ds2f generate
--guide`.)"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(options: argparse.Namespace) -> None:
    import shtab

    parser: argparse.ArgumentParser = options.build_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for action in (action for sub in commands.choices.values() for action in sub._actions):
        if action.type is Path:
            vars(action)["complete"] = shtab.DIRECTORY if action.metavar == "FOLDER" else shtab.FILE
    print(shtab.complete(parser, options.shell))
