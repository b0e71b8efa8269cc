"""Faults on purpose: kills, damage, full disks, hostile input. See ``__main__``."""
