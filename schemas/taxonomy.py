"""The taxonomy: attributes, their values, and the words that merchants use for each value."""

import re
from collections.abc import Hashable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict

from schemas.attribute import Attribute, UnknownWords, fold
from schemas.errors import ConfigurationError

# Attribute names become SQL and Parquet column names, so they stay plain identifiers.
ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
# The columns that the analysts' view `tagged_listings` already has.
RESERVED_NAMES = frozenset({"feed", "listing_id", "product_id", "title"})
_KEYS = ("prompt", "values", "unknown_words", "unusable")


class Taxonomy(BaseModel):
    """All attributes, in the order of the file."""

    model_config = ConfigDict(frozen=True)

    attributes: tuple[Attribute, ...]

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads a YAML file; ConfigurationError names the file, attribute, value and word at fault."""
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigurationError(
                f"{path}: the taxonomy cannot be read ({fault}); correct `taxonomy` in cma.toml, "
                "or leave it out to use the packaged one"
            ) from fault
        return cls._parse(text, str(path))

    @classmethod
    def packaged(cls) -> Self:
        """The taxonomy of dresses, which ships with the program."""
        file = resources.files("schemas") / "taxonomies" / "dress.yaml"
        return cls._parse(file.read_text(encoding="utf-8"), "the packaged taxonomy")

    @classmethod
    def _parse(cls, text: str, source: str) -> Self:
        try:
            data = yaml.load(text, _NoDuplicateKeys)  # noqa: S506 (it is a SafeLoader)
        except yaml.YAMLError as fault:
            raise ConfigurationError(f"{source}: this is not valid YAML: {fault}") from fault
        return cls.from_dict(data, source)

    @classmethod
    def from_dict(cls, data: object, source: str = "taxonomy") -> Self:
        """Builds from `{attribute: {prompt, values: {value: [word, …]}, unknown_words, unusable: [word, …]}}`; `source`
        is named in errors."""
        if not isinstance(data, Mapping) or not data:
            raise ConfigurationError(f"{source}: expected `attribute: {{prompt: …, values: …}}`, and at least one")
        return cls(attributes=tuple(_attribute(name, body, source) for name, body in data.items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and text, ready for YAML or JSON; `from_dict` of it is equal to this."""
        return {
            a.name: {
                "prompt": a.prompt,
                "values": {v: list(words) for v, words in a.values.items()},
                "unknown_words": a.unknown_words,
                **({"unusable": list(a.unusable)} if a.unusable else {}),
            }
            for a in self.attributes
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def class_counts(self) -> list[int]:
        """The number of classes of each attribute's head."""
        return [attribute.class_count for attribute in self.attributes]

    @property
    def classes(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each attribute with its values: what the heads of a model depend on. The words for a value do not matter."""
        return [(attribute.name, attribute.value_names) for attribute in self.attributes]

    def __getitem__(self, name: str) -> Attribute:
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise KeyError(name)


def _attribute(name: object, body: object, source: str) -> Attribute:
    if not isinstance(name, str) or not ATTRIBUTE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{source}: attribute {name!r}: a name is small letters, digits and _, begins with a letter, "
            "and has at most 48 characters"
        )
    here = f"{source}: attribute {name}"
    if name in RESERVED_NAMES:
        raise ConfigurationError(f"{here}: this name is taken by a column of every listing; choose another")
    if not isinstance(body, Mapping):
        raise ConfigurationError(f"{here}: expected `prompt` and `values`")
    if unknown := [str(key) for key in body if key not in _KEYS]:
        raise ConfigurationError(f"{here}: unknown key {', '.join(unknown)}; an attribute has {', '.join(_KEYS)}")
    prompt = body.get("prompt", f"a photo of a {{}} {name.replace('_', ' ')}")
    if not isinstance(prompt, str) or prompt.count("{}") != 1 or re.search(r"[{}]", prompt.replace("{}", "")):
        raise ConfigurationError(f'{here}: `prompt` needs {{}} once, where the value goes: "a photo of a {{}} dress"')
    values = body.get("values")
    if isinstance(values, list):  # values that need no further words may be a plain list
        values = dict.fromkeys(values) if all(isinstance(v, Hashable) for v in values) else None
    if not isinstance(values, Mapping) or len(values) < 2:
        raise ConfigurationError(f"{here}: `values` needs at least two values, `value: [word, …]` each")
    words_of = {_text(value, here): tuple(_words(f"value {value}", words, here)) for value, words in values.items()}
    unknown_words = body.get("unknown_words", "outside")
    if unknown_words not in get_args(UnknownWords):
        raise ConfigurationError(
            f"{here}: `unknown_words` is {unknown_words!r}; it is `outside` where a word of no value says that the "
            "listing has none of the values, `unusable` where it says nothing"
        )
    unusable = tuple(_words("unusable", body.get("unusable"), here))
    owner: dict[str, str] = {}
    claims = [(word, repr(value)) for value, words in words_of.items() for word in (value, *words)]
    for word, claimant in (*claims, *((word, "`unusable`") for word in unusable)):
        if (first := owner.setdefault(fold(word), claimant)) != claimant:
            raise ConfigurationError(
                f"{here}: the word {word!r} is claimed by {first} and by {claimant}; keep it at one of them"
            )
    return Attribute(name=name, prompt=prompt, values=words_of, unknown_words=unknown_words, unusable=unusable)


def _words(what: str, words: object, here: str) -> Iterator[str]:
    if words is not None and not isinstance(words, list | tuple):
        raise ConfigurationError(f"{here}: {what}: expected a list of words, `[grey, charcoal]`")
    yield from (_text(word, f"{here}: {what}") for word in words or ())


def _text(word: object, here: str) -> str:
    if not isinstance(word, str):  # YAML reads a bare `no`, `off` or `1990` as something else
        raise ConfigurationError(f'{here}: {word!r} is not text; write it in quotes, "…"')
    if not fold(word):
        raise ConfigurationError(f"{here}: an empty word means nothing; remove it")
    return word.strip()


class _NoDuplicateKeys(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; in a taxonomy that loses words."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # SafeLoader words this fault itself
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
