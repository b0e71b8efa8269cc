"""Stage report: a run's results on one self-contained page."""

PAGE = "report.html"
