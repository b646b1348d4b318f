"""The words by which a label says that it cannot name one value."""

import re

_ONE = r"colou?rs?|shades?|patterns?|prints?|styles?|designs?|types?|items?|models?|varieties"
_SEVERAL = rf"(?:mix|mixed|assorted|assortment|various|varied|varies|random|any|several|multiple)(?: (?:{_ONE}))?"
_PICTURE = r"(?:picture|pic|image|photo|photograph|description|title|listing|details?|swatch|colou?r chart)s?"
_SEE = rf"(?:see|as|as in|as per|per|like|same as|refer to|check|shown in|as shown in) (?:the |main )?{_PICTURE}"
_SHOWN = rf"(?:(?:colou?r )?as (?:pictured|shown|described)|{_PICTURE} (?:colou?r|shown))(?: .*)?"
_REST = r"multi-?\s?packs?|misc\.?|miscellaneous|not sure|don'?t know|to be confirmed|tbc|n/k"
_UNUSABLE = re.compile(rf"(?:{_SEVERAL}|{_SEE}|{_SHOWN}|{_REST})[.!]?")


def is_unusable_label(folded: str) -> bool:
    """Whether a folded label word (see `schemas.attribute.fold`) cannot name one value: `mixed`, `see picture`."""
    return _UNUSABLE.fullmatch(folded) is not None
