"""ds2f: hears a voice and draws the face that could belong to it.

Importing the package is light on purpose (no torch): `ds2f --help` and `ds2f status` stay instant.
"""

__version__ = "0.1.0"
