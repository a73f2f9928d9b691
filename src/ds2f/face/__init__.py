"""Faces: find them, align them to one canonical crop, and describe who they show."""
