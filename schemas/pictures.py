"""What can be wrong with a picture: one code and one sentence each."""

from schemas.secrets import redacted

# Faults of the moment: worth another try at the next run, though nothing has changed.
TRANSIENT = frozenset(
    {"picture_timeout", "picture_connection_failed", "picture_host_unknown", "picture_server_error"},
)


class PictureError(Exception):
    """A picture that cannot be used: a stable `code`, and a `sentence` for the report, without secrets."""

    def __init__(self, code: str, sentence: str) -> None:
        sentence = redacted(sentence)
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence

    def __reduce__(self) -> tuple[type["PictureError"], tuple[str, str]]:
        return PictureError, (self.code, self.sentence)
