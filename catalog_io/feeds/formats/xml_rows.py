"""Parses a product feed in XML piece by piece, in bounded memory."""

from typing import Any, NamedTuple
from xml.parsers import expat

from catalog_io.feeds.columns import Unreadable
from catalog_io.feeds.formats.text import LONGEST_ROW
from schemas.errors import UserError

ROW_ELEMENTS = ("item", "entry", "product", "offer")  # RSS, Atom, and what shops write
_GOOGLE = "http://base.google.com/ns/1.0"  # its elements win over those of the same name, as g:title over title
_ATTRIBUTE = "attribute"  # in place of a namespace: an element wins over an attribute of the row
_ADDRESSES = ("href", "url", "src")  # an element without text may have its value in such an attribute
_DEEPEST = 20


class _Element(NamedTuple):
    """An open element: its text, and the values of its children by name, each with its namespace."""

    namespace: str
    name: str
    address: str | None
    text: list[str]
    children: dict[str, tuple[str, list[Any]]]

    def value(self) -> Any:
        """A dict where it has children, else its text, or the address that it names, or null."""
        members = {name: found[0] if len(found) == 1 else found for name, (_, found) in self.children.items()}
        return members or "".join(self.text).strip() or self.address

    def add(self, child: "_Element", value: Any) -> None:
        namespace, values = self.children.setdefault(child.name, (child.namespace, []))
        if child.namespace == namespace:
            values.append(value)
        elif child.namespace == _GOOGLE or namespace == _ATTRIBUTE:
            self.children[child.name] = (child.namespace, [value])


class XmlRows:
    """The rows of an XML file: each item's elements by their names without prefix; repeated ones become a list.

    A document type is refused, so that no entity can be declared. UserError where the file is not well-formed.
    """

    def __init__(self, path: str, encoding: str | None) -> None:
        self._path = path
        try:
            self._parser = expat.ParserCreate(encoding, namespace_separator=" ")
        except (LookupError, ValueError) as fault:
            raise UserError(f"{path}: {fault}; correct the feed's `encoding`") from fault
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._open: list[_Element] = []
        self._deeper = 0  # open elements beyond _DEEPEST
        self._size = self._given = 0
        self._fault: str | None = None
        self._rows: list[dict[str, Any] | Unreadable] = []

    def parse(self, data: bytes, *, last: bool) -> list[dict[str, Any] | Unreadable]:
        """The rows that end in the next piece of the file."""
        self._given += len(data)
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as fault:
            raise UserError(
                f"{self._path}: this is not well-formed XML: {fault}; fetch or write the file again"
            ) from fault
        except (LookupError, ValueError) as fault:  # an encoding that expat does not know
            raise UserError(f"{self._path}: {fault}; save the file as UTF-8") from fault
        if self._given - self._parser.CurrentByteIndex > LONGEST_ROW:
            raise UserError(f"{self._path}: a tag of the XML has more than {LONGEST_ROW:,} characters")
        rows, self._rows = self._rows, []
        return rows

    def _doctype(self, *_: object) -> None:
        raise UserError(f"{self._path}: the XML has a document type (<!DOCTYPE …>), which is not read; remove it")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if not self._open:
            if name.lower() not in ROW_ELEMENTS:
                return
            self._size, self._fault = 0, None
        self._count(len(name) + sum(map(len, attributes)) + sum(map(len, attributes.values())))
        if len(self._open) == _DEEPEST:
            self._deeper += 1
            self._fault = self._fault or f"elements are nested more than {_DEEPEST} deep"
            return
        address = next((attributes[key] for key in _ADDRESSES if key in attributes), None)
        element = _Element(namespace, name, address, [], {})
        if not self._open:
            for key, value in attributes.items():
                element.children[key.rpartition(" ")[2]] = (_ATTRIBUTE, [value])
        self._open.append(element)

    def _characters(self, text: str) -> None:
        if self._open and not self._fault:
            self._count(len(text))
            self._open[-1].text.append(text)

    def _end(self, _: str) -> None:
        if self._deeper:
            self._deeper -= 1
        elif self._open:
            element = self._open.pop()
            value = element.value()
            if self._open:
                if not self._fault:
                    self._open[-1].add(element, value)
            elif self._fault:
                self._rows.append(Unreadable(value, self._fault))
            else:
                self._rows.append(value if isinstance(value, dict) else {})

    def _count(self, characters: int) -> None:
        self._size += characters + 1
        if self._size > LONGEST_ROW:
            self._fault = self._fault or f"more than {LONGEST_ROW:,} characters"
