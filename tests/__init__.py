"""Tests: test_<module>.py, and one that uses the command line as a user does."""
