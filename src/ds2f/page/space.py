"""A folder that is a Space on the Hugging Face Hub: the page, in a container that the Hub builds and runs.

The settings in its README are documented at https://huggingface.co/docs/hub/spaces-config-reference.
"""

from __future__ import annotations

import json
from pathlib import Path

from ds2f import __version__
from ds2f.io.files import make_folder, replacing

PORT = 7860  # the Hub's default unless the README says otherwise

README = """---
title: {quoted}
emoji: 🗣️
colorFrom: indigo
colorTo: gray
sdk: docker
app_port: {port}
license: apache-2.0
short_description: Hears a voice, imagines a face
tags: [speech, face, diffusion]
{models}---

# {title}

The page of ds2f {version}: record a voice or drop a file, and watch faces appear. **Every face is imagined.
It shows no real person and identifies nobody.** Recordings and pictures are held in memory while they are
processed, and never written.
"""
DOCKERFILE = """FROM python:3.12-slim
RUN useradd --create-home --uid 1000 user
USER user
ENV HOME=/home/user PATH=/home/user/.local/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/user/app
COPY --chown=user . .
RUN pip install --no-cache-dir --user -r requirements.txt
EXPOSE {port}
CMD ["python", "app.py"]
"""
REQUIREMENTS = """--extra-index-url https://download.pytorch.org/whl/cpu
{requirement}
"""
APP = '''"""Starts the page. The Hub sets PORT, where to listen, and SPACE_HOST, the page's host name."""

import os
import sys

from ds2f.cli import main

hosts = [host for host in ("localhost", os.environ.get("SPACE_HOST", "")) if host]
words = ["serve", "--host", "0.0.0.0", "--port", os.environ.get("PORT", "{port}")]
words += [word for host in hosts for word in ("--allow-host", host)]
sys.exit(main([*words{model}]))
'''


def write_space(folder: Path, requirement: str | None = None, model: str | None = None, title: str = "ds2f") -> None:
    """Write README.md, Dockerfile, requirements.txt and app.py.

    folder: created if missing; existing files of these names are replaced.
    requirement: what pip installs, such as the URL of a repository or a wheel in the folder. None: this version of
        ds2f, with the page.
    model: id on the Hub of the model that draws. None: the one that ships with ds2f.
    title: of the Space.
    Raises UserError if the folder cannot be written.
    """
    make_folder(folder)
    extras = "serve,hub" if model else "serve"
    texts = {
        "README.md": README.format(
            title=title,
            quoted=json.dumps(title, ensure_ascii=False),  # JSON strings are valid YAML, whatever they contain
            port=PORT,
            version=__version__,
            models=f"models: [{model}]\n" if model else "",
        ),
        "Dockerfile": DOCKERFILE.format(port=PORT),
        "requirements.txt": REQUIREMENTS.format(requirement=requirement or f"ds2f[{extras}]=={__version__}"),
        "app.py": APP.format(port=PORT, model=f', "--model", {model!r}' if model else ""),
    }
    for name, text in texts.items():
        with replacing(folder / name) as aside:
            aside.write_text(text, "utf-8")
