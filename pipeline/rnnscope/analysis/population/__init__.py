"""Stage population: the geometry of all units of a signal together."""
