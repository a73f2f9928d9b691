"""Trainable speaker encoders: log mel energies, one network per file, and their configuration."""

ORIGINS = ("voxceleb_trainer", "wespeaker", "3d-speaker")
"""Who trained weights that `foreign` loads; here, so that the command line shows it without PyTorch."""
