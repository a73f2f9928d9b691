"""Adds the mean appearance of people of an age, a gender or an ethnicity to an attribute head that was trained before
heads contained it; the head itself does not change.

    python scripts/add_looks.py DATABASE src/ds2f/weights     # labelled faces of the train split, such as UTKFace
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ds2f.dataset import Dataset
from ds2f.models import folders, store
from ds2f.models.attributes import AttributeHead
from ds2f.models.looks import fit_looks
from ds2f.training.attributes import load_labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("model", type=Path)
    options = parser.parse_args()
    with Dataset(options.database) as dataset:
        faces = load_labelled(dataset, ["train"])
    before = store.load_attributes(options.model)
    head = AttributeHead(replace(before.config, looks=True))
    head.load_state_dict({**before.state_dict(), "looks": fit_looks(faces.identity, faces.labels)})
    card = folders.description(options.model, "attributes")["card"]
    store.save(options.model, head, {**card, "looks_of_faces": len(faces)}, "int8")
    print(f"{options.model / 'attributes.safetensors'}: looks of {len(faces)} faces")


if __name__ == "__main__":
    main()
