"""`ds2f download`: shows the terms, downloads, and says what comes next."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ds2f.cli.arguments import add_config, add_out, positive
from ds2f.errors import UserError


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("corpus", choices=("voxceleb1", "voxceleb2", "avspeech"))
    sub.add_argument("urls", nargs="*", metavar="URL", help="VoxCeleb: the URLs that its authors gave you")
    sub.add_argument("--urls-from", type=Path, metavar="FILE", help="a file of URLs, one per line")
    add_out(sub, "output folder; existing files are not downloaded again")
    sub.add_argument(
        "--user", metavar="NAME", help="your name at the server; the password is asked for, or DS2F_PASSWORD"
    )
    sub.add_argument("--checksums", type=Path, metavar="FILE", help="lines of MD5 sum and file name")
    sub.add_argument("--keep", action="store_true", help="keep archives after unpacking")
    sub.add_argument("--csv", type=Path, metavar="FILE", help="AVSpeech: avspeech_train.csv or avspeech_test.csv")
    sub.add_argument("--limit", type=positive, metavar="N", help="AVSpeech: only the first N segments of the list")
    sub.add_argument(
        "--pause", type=float, default=3.0, metavar="SECONDS", help="AVSpeech: between two videos (default: 3)"
    )
    sub.add_argument("--retry-failed", action="store_true", help="AVSpeech: retry videos that were unavailable")
    sub.add_argument("--accept-terms", action="store_true", help="you have read and accept the corpus's terms")


def run(options: argparse.Namespace) -> None:
    accept_terms(options.corpus, options.accept_terms)
    if options.corpus == "avspeech":
        if options.csv is None:
            raise UserError("Give the list of segments: --csv avspeech_test.csv, from the corpus's page.")
        download_avspeech(options.csv, options.out, options.limit, options.pause, options.retry_failed)
        return
    addresses = [*options.urls, *read_addresses(options.urls_from)]
    download_voxceleb(addresses, options.out, options.user, options.checksums, options.keep)


def accept_terms(corpus: str, accepted: bool) -> None:
    """Show licence and terms before the first byte is downloaded. Raises UserError unless they are accepted."""
    from ds2f.cli.console import err
    from ds2f.corpora.download import avspeech, voxceleb

    err.print((avspeech if corpus == "avspeech" else voxceleb).TERMS)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise UserError("The terms can only be accepted in a terminal; if you accept them, add --accept-terms.")
    if input("Do you accept these terms? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("The terms were not accepted; nothing was downloaded.")


def read_addresses(path: Path | None) -> list[str]:
    """The URLs in a file, one per line; none if path is None."""
    from ds2f.io.files import read_lines

    lines = [] if path is None else read_lines(path, "list of addresses")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def download_voxceleb(urls: Sequence[str], folder: Path, user: str | None, checksums: Path | None, keep: bool) -> None:
    """Download, verify, join and unpack what the user has URLs for; report what is missing and what comes next.

    urls: of archives, parts of archives, or metadata; without any, continue with the files already in `folder`.
    folder: for the files; created if missing.
    user: name at the server; the password is asked for, or read from DS2F_PASSWORD; None: no login.
    checksums: a file of MD5 sums and file names; None: no check.
    keep: keep archives after unpacking.
    Raises UserError for what the user can fix.
    """
    from ds2f.cli.console import bar, out
    from ds2f.corpora.download import voxceleb
    from ds2f.corpora.download.archive import read_checksums
    from ds2f.corpora.download.fetch import Login
    from ds2f.io.files import make_folder

    if not urls and not folder.is_dir():
        raise UserError("Give the addresses that the authors of VoxCeleb sent you: URL ..., or --urls-from FILE.")
    make_folder(folder)
    login = Login(user, os.environ.get("DS2F_PASSWORD") or getpass.getpass("Password: ")) if user else None
    sums = read_checksums(checksums) if checksums else {}
    with bar("download") as shown:
        got = voxceleb.download(urls, folder, login, sums, keep, shown.stage)
    for archive, parts in got.missing.items():
        out.print(f"{archive} is incomplete; missing: {', '.join(parts)}.")
    out.print(f"Unpacked {len(got.archives):,} archives, {got.files:,} new files, into {folder}.")
    # As the authors call them: vox1_dev_wav, vox2_dev_aac, vox2_dev_mp4.
    sound = [name for name in got.archives if "wav" in name or "aac" in name]
    if len(sound) < len(got.archives) or not sound:
        out.print(f"Next: ds2f ingest {folder}")
    if sound:
        out.print(f"Next: ds2f ingest --kind voices {folder}")


def download_avspeech(csv: Path, folder: Path, limit: int | None, pause: float, retry_failed: bool) -> None:
    """Download the segments of a list that are still available; report how many, and what comes next.

    csv: the corpus's list, see `avspeech.read_list`.
    folder: for the clips, and the reasons for those that are unavailable.
    limit: download only this many of the first segments; None: all.
    pause: minimum seconds between two downloads; at most twice that.
    retry_failed: retry what an earlier run could not download.
    Raises UserError for what the user can fix.
    """
    from ds2f.cli.console import bar, out
    from ds2f.corpora.download import avspeech
    from ds2f.io.files import make_folder

    segments = avspeech.read_list(csv)[:limit]
    make_folder(folder)
    take = avspeech.youtube()
    with bar("download") as shown:
        got = avspeech.download(segments, folder, take, pause, retry_failed, shown.update)
    state = folder / avspeech.STATE
    why = f"; reasons: {state}" if state.exists() else ""
    again = f"; {got.unreached:,} not reached, run the command again" if got.unreached else ""
    out.print(
        f"{got.fetched:,} clips downloaded, {got.there:,} existed; {got.failed:,} unavailable, {got.gone:,} already "
        f"known to be unavailable{why}{again}"
    )
    out.print(f"Next: ds2f ingest {folder}")
