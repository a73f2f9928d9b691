"""Training: one loop (`loop`), what the two models learn from (`decoder`, `prior`), and checkpoints."""
