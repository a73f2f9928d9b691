"""ds2f.toml: one file in parts, each a dataclass. The type of a key defines its allowed values; the comments that `ds2f
init` writes are declared beside it.

An invalid part cannot be constructed, wherever its values come from: the file, the command line, or Python.
"""

from ds2f.config.checking import Part
from ds2f.config.files import FILE_NAME, load, parts, with_recipe, write_default
from ds2f.config.parts import Audio, Config, Evaluate, Extract, Faces, Generate, Numbers, Paths, Serve, Split, Train

__all__ = [
    "FILE_NAME",
    "Audio",
    "Config",
    "Evaluate",
    "Extract",
    "Faces",
    "Generate",
    "Numbers",
    "Part",
    "Paths",
    "Serve",
    "Split",
    "Train",
    "load",
    "parts",
    "with_recipe",
    "write_default",
]
