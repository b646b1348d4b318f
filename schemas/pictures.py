"""Stable codes of all faults that a picture can have, and the error that carries one."""

from typing import Literal

from schemas.secrets import redacted

PIXEL_RULES = 2
"""The version of how `catalog_io.pictures.decoding` makes stored pictures: those of another version are made anew."""

# The sentence for the report is written where a fault is found, because it names sizes, hosts or statuses.
PictureFault = Literal[
    # Its reference cannot be followed.
    "picture_cell_unreadable",  # a formula, or an object that names none
    "picture_not_found",
    "picture_not_a_file",
    "picture_outside_root",  # of the feed's picture folder
    "picture_scheme_not_allowed",
    "picture_address_not_allowed",  # the host is in a private network
    "picture_too_many_redirects",
    "picture_http_status",  # 4xx
    "picture_too_many_bytes",
    # TRANSIENT
    "picture_timeout",
    "picture_connection_failed",
    "picture_host_unknown",
    "picture_server_error",  # 5xx, or 429: too many requests
    # Its bytes cannot be used.
    "picture_empty",
    "picture_unreadable",
    "picture_truncated",
    "picture_format_not_allowed",
    "picture_too_large",
    "picture_too_small",
    "picture_extreme_shape",
    "picture_blank",  # transparent everywhere
    "picture_kills_worker",  # its worker process died repeatedly
]

# Faults that may pass: the next run tries again.
TRANSIENT: frozenset[PictureFault] = frozenset(
    {"picture_timeout", "picture_connection_failed", "picture_host_unknown", "picture_server_error"},
)


class PictureError(Exception):
    """A picture that cannot be used: a stable `code`, and a `sentence` for the report, without secrets."""

    def __init__(self, code: PictureFault, sentence: str) -> None:
        self.code: PictureFault = code
        self.sentence = redacted(sentence)
        super().__init__(code, self.sentence)  # pickle creates it again with these

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"
