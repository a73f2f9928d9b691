"""The command line: arguments in, calls to the rooms, sentences out. Nothing outside this room prints."""

from ds2f.cli.parser import build_parser, main

__all__ = ["build_parser", "main"]
