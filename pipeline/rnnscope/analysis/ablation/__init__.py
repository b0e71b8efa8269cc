"""Stage ablation: what the model loses with one unit clamped."""
