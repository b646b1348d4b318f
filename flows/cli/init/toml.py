"""Values as they are written in cma.toml."""

import json
from collections.abc import Mapping


def toml_text(value: object) -> str:
    """Text, a number, a list or a table in TOML: as in JSON, but without surrogate pairs, and with DEL escaped."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_text(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
