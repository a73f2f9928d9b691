"""Training: one loop (`loop`), what the models learn from (`decoder`, `prior`, `attributes`), and checkpoints."""
