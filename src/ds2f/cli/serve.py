"""`ds2f serve`: the page and the HTTP API."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ds2f.cli.arguments import add_config, add_model, add_size, config_of
from ds2f.cli.generate import signing_of


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, this machine alone")
    sub.add_argument("--port", type=int, default=7860, metavar="N", help="default: 7860; 0 = any that is free")
    sub.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which others call the server, such as that of the proxy in front; may be given again",
    )
    add_size(sub)
    add_model(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import err, out
    from ds2f.page.serve import serve

    def ready(address: str, own: bool) -> None:
        if not own:
            err.print(
                "Whoever reaches this machine can use the page. Browsers record a microphone only over https: put a "
                "server that speaks it, with a password, in front.",
                style="yellow",
            )
        out.print(f"The page is at {address}  (ctrl-C ends it)")

    config = config_of(options)
    size = options.size or config.generate.size or None
    limits = replace(config.serve, hosts=list(dict.fromkeys([*config.serve.hosts, *options.allow_host])))
    signing = signing_of(config)
    serve(options.model, options.host, options.port, options.device, config.audio, size, ready, limits, signing)
