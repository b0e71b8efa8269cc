"""A function over many parts: in threads on this machine, or on a Dask cluster."""

from rnnscope.engine.parts import opened, run, workers

__all__ = ["opened", "run", "workers"]
