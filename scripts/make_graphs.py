"""Makes the bundled ONNX graphs from the bundled weights. Run it after those or their networks have changed.

python scripts/make_graphs.py
"""

from __future__ import annotations

from ds2f.models import folders
from ds2f.speech2face import graphs
from ds2f.voice import campplus_graph


def main() -> None:
    made = [graphs.write_voice(campplus_graph.GRAPH), graphs.write_prior(folders.shipped())]
    made += [graphs.write_attributes(folders.shipped()), graphs.write_alignment(folders.shipped())]
    made += [graphs.write_fast_decoder(folder, whole=True) for folder in folders.decoders(folders.shipped()).values()]
    finished = {one.folder for one in folders.drawings(folders.shipped()) if one.super_resolution}
    made += [graphs.write_super_resolution(folder) for folder in sorted(finished)]
    for one in made:
        print(f"{one.path}: {one.path.stat().st_size / 1e3:.0f} kB, at most {one.difference:.2g} from PyTorch")


if __name__ == "__main__":
    main()
