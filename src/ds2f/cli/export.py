"""`ds2f export`: the dataset, or a model, in formats that other tools read."""

from __future__ import annotations

import argparse

from ds2f.cli.arguments import add_config, add_database, add_out, add_size, config_of, database_of, positive
from ds2f.cli.models import add_model, model_folder, with_model


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument(
        "--format",
        choices=("webdataset", "parquet", "lhotse", "kaldi", "onnx"),
        required=True,
        help="lhotse, kaldi: manifests of the recordings in place; onnx: the models that draw a face, as graphs",
    )
    add_out(sub, "output folder")
    sub.add_argument(
        "--split", action="append", choices=("train", "val", "test"), help="only this one; may be repeated"
    )
    sub.add_argument("--encoder", action="append", metavar="NAME", help="only this encoder's vectors; may be repeated")
    sub.add_argument("--pairs", action="store_true", help="only recordings with a voice, a face and every vector")
    sub.add_argument("--shard-mb", type=positive, default=256, metavar="MB", help="size of a shard (default: 256)")
    add_database(sub)
    add_model(sub, "for onnx: ")
    sub.add_argument("--int8", action="store_true", help="for onnx: compute in 8-bit integers, faster and less exact")
    add_size(sub)


def run(options: argparse.Namespace) -> None:
    if options.format == "onnx":
        _export_model(options)
    else:
        _export_dataset(options)


def _export_model(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.models import folders
    from ds2f.speech2face.graphs import export

    config = with_model(config_of(options), options.model)
    size = options.size or config.generate.size or None
    folder = model_folder(config) or folders.shipped()
    for graph in export(folder, options.out, options.int8, size):
        out.print(f"{graph.path}: at most {graph.difference:.1g} from PyTorch")


def _export_dataset(options: argparse.Namespace) -> None:
    from ds2f.cli.console import bar, counted, out
    from ds2f.dataset import Dataset
    from ds2f.dataset.export import export, export_manifest
    from ds2f.dataset.manifests import FILES
    from ds2f.dataset.splits import SPLITS

    splits, encoders = list(dict.fromkeys(options.split or SPLITS)), options.encoder or ()
    database = database_of(options, config_of(options))
    if options.format in FILES:
        with Dataset(database) as dataset, bar("export") as shown:
            listed, left = export_manifest(dataset, options.format, options.out, splits, shown.update)
        note = f"; {left:,} left out because they are missing or inside a tar" if left else ""
        out.print(f"{listed:,} recordings in {', '.join(FILES[options.format][:2])} in {options.out}{note}.")
        return
    with Dataset(database) as dataset, bar("export") as shown:
        written = export(
            dataset, options.format, options.out, splits, encoders, options.shard_mb, shown.update, options.pairs
        )
    megabytes = f"{written.bytes / 1e6:,.1f} MB"
    made = f"{counted(written.records, 'record')} in {counted(written.shards, 'shard')}"
    out.print(f"{made} ({megabytes}) in {options.out}; see README.json.")
    if written.left_out:
        out.print(f"Left out {written.left_out:,} recordings that lack a vector; select fewer with --encoder.")
