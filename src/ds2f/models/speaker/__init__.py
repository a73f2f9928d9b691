"""Trainable speaker encoders: log mel energies, one network per file, and their configuration."""
