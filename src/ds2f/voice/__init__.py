"""Voices: where there is speech, and whose it is."""
