"""Opens untrusted picture data with bounds on the time and memory that parsing its container takes."""

import io
import struct
from typing import NamedTuple

from PIL import AvifImagePlugin, Image

from catalog_io.pictures.decoding.heif import is_heif, open_heif
from catalog_io.pictures.decoding.jpeg import JpegParts, orientation, split_metadata
from catalog_io.pictures.decoding.png import split_chunks
from catalog_io.pictures.decoding.profiles import profile_of_codes, profile_of_png
from schemas.pictures import PictureError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
MAX_PIXELS = 89_478_485  # Pillow's own limit, above which it warns of a decompression bomb
# Pillow reads chunk by chunk. A picture takes a few reads for each 8 kB; a hostile file takes one for each byte.
_MOST_READS = 500_000
_MOST_WORK = 4_000_000_000  # pixels × scans of a progressive JPEG; ordinary ones have 10 scans

_MOST_HEADER = 10_000  # bytes of an AVIF before its pixels
_BMP_SPACE, _BMP_PROFILE = 14 + 56, 14 + 112  # offsets in a file with a BITMAPV5HEADER
_PROFILED = ("WEBP", "AVIF", "HEIF")  # whose profiles Pillow reads as browsers do

# First bytes of formats that are not accepted but named in the error.
_OTHER_KINDS = {
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"\0\0\1\0": "an ICO",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
}

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each core already has a picture of its own


class _BoundedReader(io.BytesIO):
    """Raises PictureError after _MOST_READS reads."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise PictureError("picture_unreadable", "the file has more pieces than any picture needs")
        return super().read(size)


class Source(NamedTuple):
    """The data of a picture without its metadata. `profile`: the container's, where it is not left to Pillow."""

    data: bytes
    exif: bytes = b""
    profile: bytes = b""
    jpeg: JpegParts | None = None

    @property
    def coding(self) -> str:
        """A name of the JPEG's coding that few programs read; empty for an ordinary one."""
        return self.jpeg.coding if self.jpeg else ""


def read_container(data: bytes) -> Source:
    """The picture's data without metadata, which is often most of a file, and what says how to show it.

    PictureError for a JPEG without a scan, and for a PNG whose header, palette or pixels are damaged.
    """
    if data.startswith(b"\xff\xd8\xff"):
        if not (jpeg := split_metadata(data)):
            raise PictureError("picture_truncated", "the picture's data is cut off or damaged")
        return Source(jpeg.plain, jpeg.exif, jpeg.icc, jpeg)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        png = split_chunks(data)
        return Source(png.plain, profile=profile_of_png(png.colour))
    if data[4:8] == b"ftyp" and (at := data.find(b"colrnclx", 0, _MOST_HEADER)) >= 0 and len(data) > at + 12:
        return Source(data, profile=profile_of_codes(*struct.unpack_from(">HH", data, at + 8)))
    if data.startswith(b"BM") and data[_BMP_SPACE : _BMP_SPACE + 4] == b"DEBM" and len(data) > _BMP_PROFILE + 8:
        start, size = struct.unpack_from("<II", data, _BMP_PROFILE)
        return Source(data, profile=data[14 + start : 14 + start + size])
    return Source(data)


def open_picture(source: Source) -> Image.Image:
    """The picture, not decoded yet. PictureError for anything but FORMATS, and for one that is too costly to decode."""
    try:
        image: Image.Image = Image.open(_BoundedReader(source.data), formats=FORMATS)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PictureError("picture_too_large", str(fault)) from fault
    except Exception as fault:  # Pillow's parsers of headers raise errors of any kind
        if not is_heif(source.data):
            raise _refusal(source) from fault
        image = open_heif(source.data)
    if source.jpeg and (work := image.width * image.height * len(source.jpeg.scans)) > _MOST_WORK:
        raise PictureError("picture_too_large", f"decoding the picture visits {work} pixels; at most {_MOST_WORK} are")
    return image


def profile_of(source: Source, image: Image.Image) -> bytes:
    """The ICC profile of an opened picture; empty for none."""
    profile = image.info.get("icc_profile") if image.format in _PROFILED else None
    return profile if isinstance(profile, bytes) and profile else source.profile


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a decoded picture, 1 (upright) to 8."""
    if image.format == "HEIF":  # its decoder has turned it
        return 1
    exif = image.info.get("exif", b"")
    if not exif and isinstance(legacy := image.info.get("Raw profile type exif"), str):
        try:
            exif = bytes.fromhex("".join(legacy.split("\n")[3:]))
        except ValueError:
            return 1
    return orientation(exif) if isinstance(exif, bytes) else 1


def _refusal(source: Source) -> PictureError:
    """The error for data that Pillow cannot open, which names the kind of file where it is known."""
    data = source.data
    if source.coding:
        return not_allowed(f"a {source.coding} JPEG")
    for start, kind in _OTHER_KINDS.items():
        if data.startswith(start):
            return not_allowed(kind)
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) or data[8:12] in (b"WEBP", b"avif", b"avis"):
        return PictureError("picture_truncated", "the picture's data is cut off or damaged")
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kind = "SVG drawing" if b"<svg" in head else "web page" if head.startswith(b"<") else "known picture format"
    verb = "is not a" if kind == "known picture format" else "is a"
    return PictureError("picture_unreadable", f"the file {verb} {kind}")


def not_allowed(kind: str) -> PictureError:
    """The error for a file of a kind that is not read."""
    return PictureError("picture_format_not_allowed", f"the file is {kind}; allowed are {', '.join(FORMATS)}")
