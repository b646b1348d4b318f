"""The two errors whose text is meant for the person at the keyboard."""


class UserError(Exception):
    """Bad input. The message names file, row or key, and the way out; the command prints it and exits 1."""


class ConfigurationError(UserError):
    """Bad configuration (settings or taxonomy). The command prints it and exits 2."""
