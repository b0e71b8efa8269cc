"""Sweeps: the jobs of a multirun, their launching, and their record."""
