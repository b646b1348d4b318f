"""Removes secrets from text before it is stored, shown or logged."""

import re

_HIDDEN = "***"
_URL_END = re.compile(r"[\s\"<>`]")  # a URL in a text ends before the first of these
_AUTHORITY_END = re.compile(r"[/\\?#]")
_PORT = re.compile(r"[^:@]*:\d{0,5}(?:[/\\?#]|$)")

_SECRET_NAME = re.compile(
    r"x-(?:amz|goog)-|token|secret|passw|passphrase|pwd|signature|credential|jwt|hmac|auth(?!or(?!iz))"
    r"|(?:api|access|account|private|shared|encryption|subscription)[-_.]?key|session[-_.]?(?:id|key)|accessid"
    r"|^(?:sig|sign|key|pw|pass|sas|policy|cred|creds|hdnts|hdnea)$|[-_.](?:key|sig|pw|pass|sas)$|^key[-_.]",
    re.IGNORECASE,
)
# Possessive, and anchored where a name begins: the search takes linear time.
_NAME = re.compile(r"(?<![\w.\-])([\w.\-]++)=")
_VALUE = re.compile(r"[^&\s\"<>`]*+")
# The same in a URL that is the percent-encoded value of another one.
_QUOTED_NAME = re.compile(r"(?:(?<![\w.\-])|(?<=%26)|(?<=%3F))([\w.\-]++)%3D", re.IGNORECASE)
_QUOTED_VALUE = re.compile(r"(?:(?!%26)[^&\s\"<>`])*+", re.IGNORECASE)

_ESCAPED = re.compile(r"\\++(?:/|u00(2[13-9a-f]|3[0-9a-f]|40))", re.IGNORECASE)  # never a quotation mark


def redacted(text: str) -> str:
    """The text with the passwords of URLs and the secret values of queries replaced by ***.

    A URL's user stays visible beside a password; without one it is hidden, too, because it may be a token. Doubtful
    parts are hidden. Never raises, and takes time in proportion to the text.
    """
    if "//" in text:
        first, *others = text.split("//")
        hidden, before = [first], first
        for part in others:
            hidden.append(_without_password(part, after_scheme=before.endswith(":")))
            before = part
        text = "//".join(hidden)
    if "=" in text:
        text = _without_values(text, _NAME, _VALUE)
    if "%3" in text:
        text = _without_values(text, _QUOTED_NAME, _QUOTED_VALUE)
    return text


def redacted_row(raw: str) -> str:
    """`redacted` for a raw row of a feed, in which JSON may have escaped the characters of a URL (`\\/`, `\\u0026`)."""
    return redacted(_ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", raw))


def _without_password(part: str, *, after_scheme: bool) -> str:
    end = _URL_END.search(part)
    url = part[: end.start()] if end else part
    authority_end = _AUTHORITY_END.search(url)
    at = url.rfind("@", 0, authority_end.start() if authority_end else len(url))
    if at < 0 and ":" in url and not url.startswith("[") and not _PORT.match(url):
        at = url.rfind("@")  # a password with an unquoted / ? or #
    if at < 0:
        return part
    user, colon, _ = url[:at].partition(":")
    if colon:
        return f"{user}:{_HIDDEN}{part[at:]}"
    return f"{_HIDDEN}{part[at:]}" if after_scheme else part


def _without_values(text: str, name: re.Pattern[str], value: re.Pattern[str]) -> str:
    shown, at = [], 0
    for found in name.finditer(text):
        if found.start() >= at and _SECRET_NAME.search(found[1]) and (secret := value.match(text, found.end())):
            shown += [text[at : found.end()], _HIDDEN if secret[0] else ""]
            at = secret.end()
    return "".join([*shown, text[at:]])
