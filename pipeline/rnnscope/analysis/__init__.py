"""Statistics of recorded states: one module per stage, and pure functions over arrays."""
