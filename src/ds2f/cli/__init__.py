"""The command line: arguments in, calls to the other packages, sentences out. No other package prints."""

from ds2f.cli.parser import build_parser, main

__all__ = ["build_parser", "main"]
