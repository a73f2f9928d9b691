"""Voices in, faces out: the pipeline that the Python API, the command line and the page share."""
