"""Flow matching: the path, the loss, guidance and the samplers. Each equation stands above its code."""
