"""Removes HTML from titles: entities are decoded, tags taken out."""

import html
import re

_INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|blink|center|cite|code|del|dfn|em|font|g|i|ins|kbd|label|mark|meta|nobr|q|s|samp|small|span|strike"
    "|strong|sub|sup|time|tt|u|var|wbr|o:p"
)
_BLOCK = (
    "address|article|aside|audio|base|blockquote|body|br|button|caption|col|dd|div|dl|dt|figcaption|figure|footer|form|h[1-6]|head|header"
    "|hr|html|iframe|img|input|li|link|main|nav|noscript|object|ol|option|p|picture|pre|section|select|source|svg|table|tbody|td|tfoot|th"
    "|thead|title|tr|ul|video"
)
_ENTITY = re.compile(
    r"&(?:#\d{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};|(?:nbsp|amp|quot|lt|gt)(?![A-Za-z0-9=;]))"
)
_HIDDEN = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))  # in small letters
# A < that no name of a tag follows is text: "size < 10", "<3".
_TAG = re.compile(rf"</?(?:(?P<inline>{_INLINE})|{_BLOCK})(?:[\s/][^<>]*+)?>", re.IGNORECASE)
_LONGEST = 20_000  # longer text is no title

MARKUP = r"&#?[A-Za-z0-9]|<[A-Za-z/!]"  # a regular expression of polars; text without it has no HTML


def without_markup(text: str) -> str:
    """The text that a browser shows for HTML, also for HTML that was escaped; other text as it is."""
    if len(text) > _LONGEST or ("&" not in text and "<" not in text):
        return text
    before = None
    while before != text:
        before = text
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
        text = text.replace("<![CDATA[", "").replace("]]>", "") if "<![CDATA[" in text else text
        for opening, closing in _HIDDEN:
            text = _cut(text, opening, closing)
        text = _TAG.sub(_shown, text)
    return text


def _cut(text: str, opening: str, closing: str) -> str:
    """The text with a blank for each part from the opening to the closing; an opening without a closing stays."""
    small = text.lower() if "<" in text else ""
    if opening not in small or len(small) != len(text):
        return text
    kept, at = [], 0
    while (begin := small.find(opening, at)) >= 0 and (end := small.find(closing, begin + len(opening))) >= 0:
        kept.append(text[at:begin])
        at = end + len(closing)
    return " ".join([*kept, text[at:]])


def _shown(tag: re.Match[str]) -> str:
    """What stands in the text in place of a tag: nothing for one within a line, a blank for one that ends a line."""
    name = tag["inline"]
    if name is None:
        return " "
    is_size = len(name) == 1 and name.isupper() and "</" not in tag.string  # <S> for a small one
    return tag[0] if is_size else ""
