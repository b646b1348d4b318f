"""Tells how unlikely it is that text was decoded rightly, from the letters in its words."""

import re
import unicodedata
from collections import Counter

# The letters beyond a to z of languages, by how unlikely the language is: words whose letters no language has
# together were probably decoded wrongly.
_ALPHABETS = (
    ("åäöé", 0.0),
    ("äöüßé", 0.0),
    ("æøåéöäü", 0.0),
    ("àâæçéèêëîïôœùûüÿñ", 0.0),
    ("áéíñóúüªº", 0.0),
    ("ãáâàçéêíõôóúüªº", 0.0),
    ("àèéìíîòóùú", 0.0),
    ("éëïóöüáèê", 0.0),
    ("ąćęłńóśźż", 0.0),
    ("áčďéěíňóřšťúůýžöäü", 0.0),
    ("áäčďéíľňóôšťúýž", 0.02),
    ("áéíóöőúüű", 0.0),
    ("ăâîşţ", 0.02),
    ("čćđšž", 0.0),
    ("çğıöşüâ", 0.0),
    ("ąčęėįšųūž", 0.02),
    ("āčēģīķļņšūž", 0.02),
    ("äõöüšž", 0.02),
    ("áðéíóúýþæö", 0.05),
)
# The letters that make up most of a text, by script: about two thirds of it.
_COMMON = {"CYRILLIC": "оеаинтсрвлкі", "GREEK": "αοιετσνηυρπκςόάίέ", "HEBREW": "", "ARABIC": ""}
_SHORT_WORDS = frozenset("àâèéêëíîòóôöøåäæıý")  # single letters that are words; others are signs decoded wrongly
_USUAL_SIGNS = frozenset("’‘“”„–—…•€£¥°®™©×½¼¾²\u00a0«»´§&·、。・「」！（）：，／％ー～")
_WORD = re.compile(r"[^\s,;|\t\"]+")
_MOST_WORDS = 3_000


def words_of(text: str) -> list[str]:
    """The words that have letters or signs beyond ASCII, each once."""
    found = dict.fromkeys(word for word in _WORD.findall(text) if not word.isascii())
    return list(found)[:_MOST_WORDS]


def unlikely(words: list[str], encoding: str) -> float:
    """From 0, all letters fit together, to 1 and more. `encoding` is the one in which the words were decoded."""
    letters: Counter[str] = Counter()
    scripts: Counter[str] = Counter()
    total = bad = 0.0
    for word in words:
        for place, sign in enumerate(word):
            if sign.isascii():
                continue
            total += 1
            category = unicodedata.category(sign)
            before, after = word[place - 1 : place], word[place + 1 : place + 2]
            if category[0] == "C" or sign == "\ufffd":  # a control, a private character, bytes that mean nothing
                bad += 2
            elif category[0] not in "LM":
                inside = before.isalpha() and after.isalpha()
                bad += (sign not in "’‘´·-\u00a0") if inside or sign not in _USUAL_SIGNS else 0
            else:
                script = unicodedata.name(sign, "?").split()[0]
                scripts[script] += 1
                letters["ı" if sign == "İ" else sign.lower()] += 1
                if script == "LATIN" or script in _COMMON:
                    bad += before.islower() and sign.isupper()  # the case changes within the word
                    bad += len(word) == 1 and sign not in _SHORT_WORDS and (script == "LATIN" or sign.isupper())
                bad += script == "HALFWIDTH"
                if script != "LATIN":
                    mixed = [other for other in (before, after) if other.isascii() and other.islower()]
                    bad += bool(mixed)
    if not total:
        return 0.0
    return (bad + _strange_letters(letters, scripts, encoding)) / total


def _strange_letters(letters: Counter[str], scripts: Counter[str], encoding: str) -> float:
    latin = {letter: count for letter, count in letters.items() if "LATIN" in unicodedata.name(letter, "")}
    strange = min(
        sum(count for letter, count in latin.items() if letter not in alphabet) + rare * sum(latin.values())
        for alphabet, rare in _ALPHABETS
    )
    for script, common in _COMMON.items():
        if scripts[script]:
            share = sum(letters[letter] for letter in common) / scripts[script]
            strange += scripts[script] * (max(0.0, 0.6 - share) if common else 0.5)
    return strange + _strange_ideographs(letters, scripts, encoding)


def _strange_ideographs(letters: Counter[str], scripts: Counter[str], encoding: str) -> float:
    ideographs = {letter: count for letter, count in letters.items() if unicodedata.name(letter, "").startswith("CJK")}
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    total = sum(ideographs.values()) + kana + scripts["HANGUL"]
    if encoding in ("cp932", "euc_jp"):
        rare = sum(count for letter, count in ideographs.items() if not _is_level_1(letter, "euc_jp", 0xCF))
        return rare + (0.0 if 10 * kana >= total else 0.6 * total)
    if encoding == "euc_kr":
        return 0.0 if 2 * scripts["HANGUL"] >= total else 0.6 * total
    page, last = ("big5", 0xC6) if encoding == "big5" else ("gb2312", 0xD7)
    return kana * 0.5 + sum(count for letter, count in ideographs.items() if not _is_level_1(letter, page, last))


def _is_level_1(letter: str, encoding: str, last: int) -> bool:
    """Whether an ideograph is one of the common ones, which such standards have first."""
    try:
        return letter.encode(encoding)[0] <= last
    except UnicodeEncodeError:
        return False
