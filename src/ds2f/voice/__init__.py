"""Voices: where there is speech, and who speaks."""
