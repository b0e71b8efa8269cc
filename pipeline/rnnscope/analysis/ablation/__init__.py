"""Stage ablation: how the model's loss changes with one unit clamped."""
