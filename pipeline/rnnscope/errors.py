"""The one exception for mistakes a user can mend."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""
