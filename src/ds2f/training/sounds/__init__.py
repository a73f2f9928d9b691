"""Training audio of speaker encoders: stored speech (`speech`), and its augmentation by rooms, noise and codecs."""
