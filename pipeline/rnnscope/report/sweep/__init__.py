"""The page of stage collect: all collected runs beside each other, with links to each one's own."""

SWEEP = "sweep.html"
