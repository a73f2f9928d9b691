"""Extraction: from files to voices, faces and identities. `item` does one file, `engine` many, `run` stores them."""
