"""Opens untrusted picture data with bounds on the time and memory that parsing its container takes."""

import io

from PIL import AvifImagePlugin, Image

from catalog_io.pictures.decoding.jpeg import count_scans, orientation, split_metadata
from schemas.pictures import PictureError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
MAX_PIXELS = 89_478_485  # Pillow's own limit, above which it warns of a decompression bomb
# Pillow reads chunk by chunk. A picture takes a few reads for each 8 kB; a hostile file takes one for each byte.
_MOST_READS = 500_000
_MOST_WORK = 4_000_000_000  # pixels × scans of a progressive JPEG; ordinary ones have 10 scans

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
_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc")

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each core already has a picture of its own


class _BoundedReader(io.BytesIO):
    """Raises PictureError after _MOST_READS reads."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise PictureError("picture_unreadable", "the file has more pieces than any picture needs")
        return super().read(size)


def without_metadata(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG without its metadata, which is often most of the file, and its EXIF block; other data unchanged.

    PictureError for a JPEG without a scan.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return data, b""
    if not (jpeg := split_metadata(data)):
        raise PictureError("picture_truncated", "the picture's data is cut off or damaged")
    return jpeg


def open_picture(data: bytes) -> Image.Image:
    """The picture, not decoded yet. PictureError for anything but FORMATS, and for one that is too costly to decode."""
    try:
        if data.startswith(b"\x89PNG"):  # only verify() compares a PNG's checksums
            with Image.open(_BoundedReader(data), formats=("PNG",)) as image:
                image.verify()
        image = Image.open(_BoundedReader(data), formats=FORMATS)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PictureError("picture_too_large", str(fault)) from fault
    except Exception as fault:  # Pillow's parsers of headers raise errors of any kind
        raise _refusal(data) from fault
    if image.format == "JPEG" and (work := image.width * image.height * count_scans(data)) > _MOST_WORK:
        raise PictureError("picture_too_large", f"decoding the picture visits {work} pixels; at most {_MOST_WORK} are")
    return image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a decoded picture, 1 (upright) to 8."""
    exif = image.info.get("exif", b"")
    if not exif and isinstance(legacy := image.info.get("Raw profile type exif"), str):
        try:
            exif = bytes.fromhex("".join(legacy.split("\n")[3:]))
        except ValueError:
            return 1
    return orientation(exif) if isinstance(exif, bytes) else 1


def _refusal(data: bytes) -> PictureError:
    """The error for data that Pillow cannot open, which names the kind of file where it is known."""
    for start, kind in _OTHER_KINDS.items():
        if data.startswith(start):
            return _not_allowed(kind)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return _not_allowed("an HEIC")
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) or data[8:12] in (b"WEBP", b"avif"):
        return PictureError("picture_truncated", "the picture's data is cut off or damaged")
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kind = "SVG drawing" if b"<svg" in head else "web page" if head.startswith(b"<") else "known picture format"
    verb = "is not a" if kind == "known picture format" else "is a"
    return PictureError("picture_unreadable", f"the file {verb} {kind}")


def _not_allowed(kind: str) -> PictureError:
    return PictureError("picture_format_not_allowed", f"the file is {kind}; allowed are {', '.join(FORMATS)}")
