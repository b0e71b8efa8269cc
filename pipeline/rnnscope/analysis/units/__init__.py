"""Stage units: statistics of every unit of every signal."""
