"""The exception for mistakes that a user can correct."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""
