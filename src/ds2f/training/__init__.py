"""Training: one loop (`loop`), one module per model with its data, task and job (`decoder`, `prior`, `attributes`,
...), and checkpoints."""
