"""What speaker encoders hear in training: stored speech (`speech`), and what a room, a noise or a codec makes of it."""
