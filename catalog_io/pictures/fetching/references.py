"""Parses what a row has in place of its picture: a path, a URL, or neither."""

import hashlib
import posixpath
import re
from urllib.parse import unquote

from schemas.secrets import redacted_reference

WEB_SCHEMES = ("http", "https")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*(?:::[A-Za-z][A-Za-z0-9+.\-]*)*):(//)?")
# Schemes that may be written without //. Any other colon is part of a file name.
_BARE_SCHEMES = frozenset({"about", "blob", "cid", "data", "file", "ftp", "http", "https", "javascript", "mailto"})
_SEPARATOR = re.compile(r"[/\\]")
_MOST_QUOTING = 5

_AZURE = frozenset(
    {*("sig", "se", "sp", "sv", "sr", "st", "spr", "sip", "ss", "srt", "si", "sdd", "ses", "saoid", "suoid", "scid")}
    | {*("skoid", "sktid", "skt", "ske", "sks", "skv")}
)
# Signing schemes: the parameters that identify one when all are present, and those that it adds to a URL.
_SIGNING: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"signature", "key-pair-id"}), frozenset({"expires", "policy", "signature", "key-pair-id"})),
    (frozenset({"signature", "awsaccesskeyid"}), frozenset({"expires", "signature", "awsaccesskeyid"})),
    (frozenset({"signature", "googleaccessid"}), frozenset({"expires", "signature", "googleaccessid"})),
    (frozenset({"sig", "sv"}), _AZURE),
)


def scheme_of(uri: str) -> str | None:
    """The URI's scheme in lower case (`a::b` for a chained one); None for a path."""
    if ":" not in uri or not (match := _SCHEME.match(uri)):
        return None
    scheme = match[1].lower()
    if len(scheme) == 1:  # a drive of Windows
        return None
    return scheme if match[2] or scheme in _BARE_SCHEMES or "::" in scheme else None


def below(base: str, path: str) -> str | None:
    """`path` relative to the folder `base`, or None where it leads out of it, also by %2e%2e or a backslash.

    An absolute path has to begin with `base`. For object stores and URLs, which have no symbolic links.
    """
    if path.startswith("/"):
        top = base.rstrip("/") + "/"
        if not path.startswith(top):
            return None
        path = path.removeprefix(top)
    decoded = path
    for _ in range(_MOST_QUOTING):
        if _climbs_out(decoded):
            return None
        before, decoded = decoded, unquote(decoded)
        if before == decoded:
            break
    else:
        return None
    return posixpath.normpath(path) if {".", ".."} & set(path.split("/")) else path


def _climbs_out(path: str) -> bool:
    depth = 0
    for part in _SEPARATOR.split(path):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def picture_key(uri: str) -> str:
    """32 hex digits that identify the picture of a reference.

    URLs that differ only in login or signature have the same key.
    """
    if "://" in uri:
        uri = _unsigned(uri)
    return hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _unsigned(url: str) -> str:
    scheme, _, rest = url.partition("://")
    end = next((at for at, letter in enumerate(rest) if letter in "/\\?#"), len(rest))
    authority = rest[:end].rpartition("@")[2]
    rest, hash_mark, fragment = rest[end:].partition("#")
    path, question_mark, query = rest.partition("?")
    if question_mark:
        parameters = query.split("&")
        names = [parameter.partition("=")[0].lower() for parameter in parameters]
        signing: set[str] = set()
        for marks, added in _SIGNING:
            if marks <= set(names):
                signing |= added
        kept = [
            parameter
            for name, parameter in zip(names, parameters, strict=True)
            if name not in signing and not name.startswith(("x-amz-", "x-goog-"))
        ]
        query = "&".join(kept)
        question_mark = "?" if query else ""
    return f"{scheme}://{authority}{path}{question_mark}{query}{hash_mark}{fragment}"


def shown(uri: str, most: int = 200) -> str:
    """The URI for a message: without secrets or control characters, and of at most `most` characters."""
    text = "".join(letter if letter.isprintable() else "�" for letter in redacted_reference(uri)[: most + 1])
    return text if len(text) <= most else text[:most] + "…"
