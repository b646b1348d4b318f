"""The two errors whose text is meant for the person at the keyboard."""

import re

from schemas.secrets import redacted

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class UserError(Exception):
    """Bad input. The message names the file, row or key at fault and what to do; the command prints it and exits 1.

    It has no secrets of URLs, whatever it is made from.
    """

    def __init__(self, message: str) -> None:
        # Messages quote feeds, whose control characters must not reach the terminal.
        super().__init__(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", redacted(message)))


class DamagedFile(UserError):
    """A file that is made from others was damaged. It has been removed: the work that needed it makes it again."""


class ConfigurationError(UserError):
    """Bad configuration (settings or taxonomy). The command prints it and exits 2."""
