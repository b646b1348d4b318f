"""Renders the templates of the reports."""

import re
from base64 import b64encode
from datetime import UTC, datetime
from importlib import resources

from jinja2 import Environment, StrictUndefined

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")


def render(template: str, **values: object) -> str:
    """Renders a file of `templates/` with these values and `made`, the present time. HTML is escaped; a template of
    Markdown escapes with the filter `plain`."""
    environment = Environment(
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=_escape_markdown, data_uri=data_uri)
    text = (resources.files("flows.reports") / "templates" / template).read_text("utf-8")
    return environment.from_string(text).render(made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **values)


def data_uri(content: bytes | str, media_type: str = "image/svg+xml") -> str:
    """A picture as a `data:` URI. The ids and styles of an SVG in it cannot touch the page or another plot."""
    data = content.encode() if isinstance(content, str) else content
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def _escape_markdown(text: str) -> str:
    """The text in one line, in which no character ends a table's cell or acts as markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
