"""`ds2f extract`: voices, faces and identities from the ingested files."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_database, add_workers, config_of, database_of, must_open, named
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    add_database(sub)
    add_workers(sub)
    sub.add_argument("--retry-failed", action="store_true", help="retry the failed files")
    sub.add_argument(
        "--engine", choices=("local", "ray"), help="processes here, or a Ray cluster (default: configured)"
    )
    sub.add_argument("--ray-address", metavar="ADDRESS", help="of a running cluster, or auto (default: start one here)")
    sub.add_argument("--shard", default="", metavar="I/N", help="extract this part into its own database: see merge")


def run(options: argparse.Namespace) -> None:
    config = config_of(options)
    given = {"engine": options.engine, "ray_address": options.ray_address}
    config = replace(config, extract=replace(config.extract, **{k: v for k, v in given.items() if v is not None}))
    if options.ray_address is not None and config.extract.engine == "local":
        raise UserError("--ray-address is for a Ray cluster; leave it out, or add --engine ray.")
    extract(database_of(options, config), config, options.workers, options.retry_failed, options.shard)


def extract(database: Path, config: Config, workers: int, retry_failed: bool = False, shard: str = "") -> None:
    """Extract what is missing; report how much that was, and what comes next.

    database: the dataset.
    config: what to extract, and by which engine.
    workers: maximum number of processes.
    retry_failed: retry the failed files.
    shard: "2/8" extracts the second eighth into a separate database beside this one; "" extracts everything into this
        one.
    Raises UserError for what the user can fix.
    """
    must_open(database, read_only=bool(shard))
    from ds2f.cli.console import bar, out
    from ds2f.dataset.plan import parse_shard
    from ds2f.dataset.shards import split_off
    from ds2f.extract.engines import pick
    from ds2f.extract.engines.base import Load
    from ds2f.extract.run import extract_missing
    from ds2f.extract.settings import ExtractSettings, plan_of

    settings = ExtractSettings.of(config)
    engine = pick(config.extract.engine, config.extract.ray_address)
    whole = database
    if shard:
        database = split_off(whole, parse_shard(shard), plan_of(settings), retry_failed)
    with bar("extract") as shown:
        load = Load(workers, config.extract.batch, settings.item_seconds)
        summary = extract_missing(database, settings, load, engine, retry_failed, shown.update)
    if summary.done + summary.failed == 0:
        words = named(whole, config) + (f" --shard {shard}" if shard else "")
        out.print(f"Nothing is missing. To try failed files again: ds2f extract --retry-failed{words}")
    else:
        why = f"; why: ds2f status --database {database}" if summary.failed else ""
        out.print(f"Extracted {summary.done:,} files, {summary.failed:,} failed{why}.")
    if shard:
        out.print(f"This shard is in {database}. When all are done: ds2f merge --database {whole} SHARD.db ...")
