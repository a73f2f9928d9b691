"""Voices in, faces out: the pipeline shared by the Python API, the command line and the web page."""
