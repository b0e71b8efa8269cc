"""Stage fixed_points: states that a cell keeps under a constant input, and the dynamics nearby."""
