"""Which engine runs the extraction: processes of this machine, or a Ray cluster."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from ds2f.errors import UserError
from ds2f.extract.engines.base import Engine
from ds2f.extract.engines.local import local_processes


def pick(name: str, ray_address: str = "") -> Engine:
    """ "local" or "ray". Raises UserError for another name, or if Ray is not installed."""
    if name == "local":
        return local_processes
    if name != "ray":
        raise UserError(f"There is no engine {name!r}; the engines are local and ray.")
    if find_spec("ray") is None:
        raise UserError("The engine ray needs Ray; run: pip install 'ds2f[ray]'")
    from ds2f.extract.engines.ray import ray_actors

    return partial(ray_actors, address=ray_address)
