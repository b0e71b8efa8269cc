"""Stage decoding: what a linear decoder reads from the states at one timestep."""
