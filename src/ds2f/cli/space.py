"""`ds2f space`: writes a folder that runs the page as a Space on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", type=Path, metavar="FOLDER", help="for README.md, Dockerfile, requirements.txt, app.py")
    sub.add_argument("--model", metavar="OWNER/NAME", help="id on the Hub (default: the model that ships with ds2f)")
    sub.add_argument("--title", default="ds2f", help="title of the Space")
    sub.add_argument(
        "--install",
        metavar="WHAT",
        help="what pip installs, such as git+https://... (default: ds2f, this version)",
    )


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.errors import UserError
    from ds2f.page.space import write_space
    from ds2f.speech2face.hub import HUB_ID

    if options.model and not HUB_ID.fullmatch(options.model):
        raise UserError(f"{options.model!r} is not an id on the Hub; give owner/name, as for ds2f push.")
    write_space(options.folder, options.install, options.model, options.title)
    out.print(f"The Space is in {options.folder}. Try it here: cd {options.folder} && python app.py")
    out.print(f"Upload it: hf upload OWNER/NAME {options.folder} --repo-type space")
