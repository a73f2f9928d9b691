"""`ds2f serve`: the page and the HTTP API."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ds2f.cli.arguments import add_config, add_size, config_of
from ds2f.cli.models import add_device, add_model, load_model, with_model


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, only this machine")
    sub.add_argument("--port", type=int, default=7860, metavar="N", help="default: 7860; 0 = any free port")
    sub.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name under which clients reach the server, such as its reverse proxy's; may be repeated",
    )
    add_size(sub)
    add_model(sub)
    add_device(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import err, out
    from ds2f.page.serve import serve

    def ready(address: str, own: bool) -> None:
        if not own:
            err.print(
                "Anyone who can reach this machine can use the page. Browsers record only over HTTPS: put a reverse "
                "proxy with HTTPS and a password in front.",
                style="yellow",
            )
        out.print(f"The page is at {address}  (Ctrl-C stops it)")

    config = with_model(config_of(options), options.model)
    limits = replace(config.serve, hosts=list(dict.fromkeys([*config.serve.hosts, *options.allow_host])))
    config = replace(
        config,
        audio=replace(config.audio, max_seconds=min(config.audio.max_seconds, limits.max_seconds)),
        generate=replace(config.generate, size=options.size or config.generate.size),
    )
    serve(lambda: load_model(config, options.device)[0], options.host, options.port, limits, config.generate, ready)
