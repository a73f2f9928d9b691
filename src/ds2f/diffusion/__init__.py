"""Flow matching: the path, the loss, guidance and the samplers. Each equation is given above its code."""
