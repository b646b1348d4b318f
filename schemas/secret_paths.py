"""Finds tokens, signatures and nested URLs in the path of a URL."""

import re

_CUT = "…"
_PART = r"[^/\\\s\"<>`]"
_LETTERS = r"[A-Za-z0-9_\-]"
# What is percent-encoded of a URL inside the path.
_NESTED = re.compile(r"%(?:25)*+(?:3A%(?:25)*+)?+2F%(?:25)*+2F.*+|%(?:25)*+(?:3F|23).*+", re.IGNORECASE | re.DOTALL)
_ENCODED_COLON, _ENCODED_AT = re.compile("%(?:25)*+3A", re.IGNORECASE), re.compile("%(?:25)*+40")
_LOGIN = re.compile(r"(?<=[/\\])[^/\\:@]*+:[^@]++@")  # a password may have slashes
_TOKENS = (
    re.compile(rf"(?<![A-Za-z0-9])eyJ{_LETTERS}{{8}}{_PART}*+"),  # JSON in base64url, as a JWT begins
    re.compile(rf"(?<=/s--){_LETTERS}+?(?=--/)"),  # Cloudinary
    re.compile(r"(?<=/)[A-Za-z0-9_\-]{27}=(?=/)"),  # Thumbor
    re.compile(r"(?<=/)(?=[^/]*[A-Z])(?=[^/]*[a-z])(?=[^/]*\d)[A-Za-z0-9_\-]{43}(?=/)"),  # imgproxy
    re.compile(rf"(?<=/bot)\d+:{_PART}++"),  # Telegram
    re.compile(r"(?<=[/\\])(?:[\w.\-]*?(?:token|signature|secret|hmac|jwt|hdnts|hdnea)[\w.\-]*+|sig)=.*+", re.I),
    re.compile(rf"(?<=;){_PART}*?={_PART}*+"),  # parameters of a part, such as ;jsessionid=
    re.compile(r"(?:(?<=/token/)|(?<=/jwt/)|(?<=/sig/)|(?<=/signature/))[^/]++", re.I),
)  # fmt: skip


def without_secret_parts(path: str) -> str:
    """The path with … for parts that are tokens or signatures by their form, and for what is secret in a URL inside it.

    Long hashes stay: the names of most servers' pictures are such.
    """
    if "%" in path:
        path = _without_encoded_login(_NESTED.sub(_CUT, path))
    if "@" in path:
        path = _LOGIN.sub(_CUT, path)
    for token in _TOKENS:
        path = token.sub(_CUT, path)
    return path


def _without_encoded_login(path: str) -> str:
    colon = _ENCODED_COLON.search(path)
    if not colon or not _ENCODED_AT.search(path, colon.end()):
        return path
    return path[: path.rfind("/", 0, colon.start()) + 1] + _CUT
