"""The models: torch modules and their files, no training code."""
