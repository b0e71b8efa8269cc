"""Stage compare: how similar the states of two runs are on the same test sequences."""
