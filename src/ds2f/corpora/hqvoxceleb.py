"""HQ-VoxCeleb (Bai et al., ACM MM 2022, from SF2F): vox1/masked_faces/Some_Name/1.jpg, and the same pictures with their
background in vox1/origin_faces; identity = the name.

Names in vox1 are those of vox1_meta.csv, in vox2 those of full_vox2_meta.csv; see `corpora.metadata`.
Source: https://github.com/BAI-Yeqi/HQ-VoxCeleb; research use.
"""

from __future__ import annotations

from ds2f.corpora.base import STILL, Corpus, Place, Recognised, is_name

_FORMS = ("masked_faces", "origin_faces")


def recognise(place: Place) -> Recognised | None:
    folders = place.folders
    if len(folders) < 2 or folders[-2] not in _FORMS or not place.stem.isdecimal():
        return None
    known = is_name(folders[-1]) or any("vox" in folder.lower() for folder in folders[:-2])
    return Recognised(folders[-1]) if known else None


def recording(place: Place) -> str | None:
    """One photograph, with or without its background."""
    return f"{place.folders[-1]}/{place.stem}" if place.folders else None


LAYOUT = Corpus("hqvoxceleb", "research use", "https://github.com/BAI-Yeqi/HQ-VoxCeleb", STILL, recognise, recording)
