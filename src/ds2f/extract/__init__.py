"""Extraction: from files to voices, faces and identities. `item` processes one file, `engines` many, `run` stores the
results."""
