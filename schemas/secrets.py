"""Removes secrets from text before it is stored, shown or logged.

Nobody can list the names of all secret parameters, so a URL is shown as scheme, host and path only.
"""

import re

from schemas.secret_paths import without_secret_parts

_HIDDEN, _CUT = "***", "…"
_WEB = r"(?:https?|ftp):[/\\]*+"  # which browsers follow with any number of slashes
_START = re.compile(rf"(?<![A-Za-z0-9+.\-]){_WEB}|[/\\]{{2,}}", re.IGNORECASE)
_SCHEME = re.compile(r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]*+:\Z")
_LONGEST_SCHEME = 40
_END = re.compile(r"[\s\"<>`]")  # a URL in a text ends before the first of these
# What stands before a URL without scheme, also as JSON writes it; after other characters, // is inside a path.
_BEFORE_URL = re.compile(r"(?:[\s\"'`(\[{<>=,;|:]|\\[nrtbf])\Z")
_AUTHORITY_END = re.compile(r"[/\\?#]")
_PORT = r"(?::\d{0,5})?"
_NAME = rf"(?:[\w.\-]+|\[[0-9A-Fa-f:.]+\]){_PORT}"
_HOST = re.compile(rf"(?:{_NAME}(?:,{_NAME})*)?[')\]}},.;:!*]*")  # several of a cluster; the text's punctuation

# Outside URLs: a query, a login, and a URL that is percent-encoded.
_QUERY = re.compile(r"(?<=\S)[?#](?:[^\s\"<>`=?#]*+=|[\w%~+/\-]{16})[^\s\"<>`]*+")
_LOGIN = re.compile(r"(?<![^\s\"<>`,;(/\\])[^\s\"<>`,;(/\\:@]*+:[^\s\"<>`/\\@]++@(?=[\w\[])")
_ENCODED_URL = re.compile(r"%(?:25)*+3A%(?:25)*+2F%(?:25)*+2F[^\s\"<>`]*+", re.IGNORECASE)

_SECRET_NAME = re.compile(
    r"x-(?:amz|goog)-|token|secret|passw|passphrase|pwd|signature|credential|jwt|hmac|auth(?!or(?!iz))"
    r"|(?:api|access|account|private|shared|encryption|subscription)[-_.]?key|session[-_.]?(?:id|key)|accessid"
    r"|^(?:sig|sign|key|pw|pass|sas|sid|policy|cred|creds|hdnts|hdnea)$|[-_.](?:key|sig|pw|pass|sas)$|^key[-_.]",
    re.IGNORECASE,
)
# Possessive, and anchored where a name begins: the search takes linear time.
_NAMED = re.compile(r"(?<![\w.\-])([\w.\-]++)=")
_VALUE = re.compile(r"[^&\s\"<>`]*+")

_ESCAPED = re.compile(r"(?<!\\)\\++(?:/|u00(2[13-9a-f]|3[0-9a-f]|40))", re.IGNORECASE)  # never a quotation mark
_JSON_TEXT = re.compile(r'"((?:[^"\\]++|\\.)*+)("?)', re.DOTALL)
_QUOTE = re.compile(r'((?<!\\)\\++")')
_IS_URL = re.compile(
    rf"[\s\ufeff\u200b-\u200f\u2060\u00ad]*(?:(?:[A-Za-z][A-Za-z0-9+.\-]*+:)*+[/\\]{{2}}|{_WEB})", re.IGNORECASE
)


def redacted(text: str) -> str:
    """The text with its URLs as scheme, host and path, and with *** for what else has a secret's name.

    Parts of a path that are tokens or signatures become …, and so does what may be a password. Never raises, and takes
    time in proportion to the text.
    """
    return _redacted(text, _END)


def redacted_reference(reference: str) -> str:
    """A whole path or URL without secrets. Blanks and quotation marks are part of it, unlike in `redacted`."""
    if _IS_URL.match(reference):
        return _redacted(reference, None)
    path, _, query = reference.partition("?")
    is_name = not query or re.fullmatch(r"[^=&%]{0,15}\.\w{2,5}", query)  # the ? is part of a file's name
    return redacted(reference if is_name else path)


def redacted_row(raw: str) -> str:
    """`redacted` for a raw row of a feed, in which JSON may have escaped the characters of a URL (`\\/`, `\\u0026`)."""
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", raw)
    shown, at = [], 0
    for found in _JSON_TEXT.finditer(raw):
        cells = _QUOTE.split(found[1])  # a text may be JSON, too
        for place in range(0, len(cells), 2):  # without the quotation marks between them
            cells[place] = _redacted(cells[place], None) if _IS_URL.match(cells[place]) else redacted(cells[place])
        shown += [redacted(raw[at : found.start()]), f'"{"".join(cells)}{found[2]}']
        at = found.end()
    return "".join([*shown, redacted(raw[at:])])


def _redacted(text: str, end_of_url: re.Pattern[str] | None) -> str:
    shown, at = [], 0
    for start in _START.finditer(text):
        if start.start() < at:
            continue
        begin, slashes = start.start(), start[0]
        if slashes[0] in "/\\":
            scheme = _SCHEME.search(text, max(at, begin - _LONGEST_SCHEME), begin)
            if not scheme and begin > at and not _BEFORE_URL.search(text, max(at, begin - 2), begin):
                continue
            begin = scheme.start() if scheme else begin
        end = end_of_url.search(text, start.end()) if end_of_url else None
        url = text[start.end() : end.start() if end else len(text)]
        if end and end[0] == '"':  # a backslash before it is JSON's
            url = url.rstrip("\\")
        shown += [_without_url(text[at:begin]), text[begin : start.end()], _host_and_path(url)]
        at = start.end() + len(url)
    return "".join([*shown, _without_url(text[at:])])


def _host_and_path(url: str) -> str:
    """What may be shown of a URL after its scheme and slashes."""
    end = _AUTHORITY_END.search(url)
    authority = url[: end.start()] if end else url
    _, at, host = authority.rpartition("@")
    may_be_password = not at and ":" in host and not host.startswith("[") and "@" in url[len(authority) :]
    if may_be_password or not _HOST.fullmatch(host):
        return _CUT
    return host + without_secret_parts(re.split("[?#]", url[len(authority) :], maxsplit=1)[0])


def _without_url(text: str) -> str:
    """A text outside URLs."""
    if "?" in text or "#" in text:
        text = _QUERY.sub("", text)
    if "@" in text:
        text = _LOGIN.sub(_CUT, text)
    if "%" in text:
        text = _ENCODED_URL.sub(_CUT, text)
    if "=" in text:
        text = _without_values(text)
    return without_secret_parts(text) if "eyJ" in text else text


def _without_values(text: str) -> str:
    shown, at = [], 0
    for found in _NAMED.finditer(text):
        if found.start() >= at and _SECRET_NAME.search(found[1]) and (secret := _VALUE.match(text, found.end())):
            shown += [text[at : found.end()], _HIDDEN if secret[0] else ""]
            at = secret.end()
    return "".join([*shown, text[at:]])
