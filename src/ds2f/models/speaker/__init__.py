"""Speaker encoders that can be trained here: log mel energies, one network a file, and what describes them."""
