"""Faces: find them, align them to one canonical crop, describe who it is."""
