"""Opens untrusted picture data so that no parser of its container works without bounds."""

import io

from PIL import AvifImagePlugin, Image

from catalog_io.pictures.decoding.jpeg import orientation, parts, passes
from schemas.pictures import PictureError

__all__ = ["FORMATS", "MAX_PIXELS", "opened", "orientation_of", "without_metadata"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
MAX_PIXELS = 89_478_485  # where Pillow itself begins to warn of a decompression bomb
# Pillow reads a file chunk by chunk in Python. Pictures need a few reads for each 8 kB; hostile files, one a byte.
_MOST_READS = 500_000
_MOST_WORK = 4_000_000_000  # pixels × passes of a progressive JPEG; honest ones have 10 passes

# First bytes of files that are no JPEG, PNG, … but are worth naming.
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

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # pictures are spread over the cores already


class _Reader(io.BytesIO):
    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise PictureError("picture_unreadable", "the file is cut into more pieces than any picture needs")
        return super().read(size)


def without_metadata(data: bytes) -> tuple[bytes, bytes]:
    """The data as it is decoded, and the EXIF block that was taken out of it.

    Only of JPEGs, where metadata is often most of the file, and comes in the most kinds.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return data, b""
    if not (jpeg := parts(data)):
        raise PictureError("picture_truncated", "the picture's data is cut off or damaged")
    return jpeg


def opened(data: bytes) -> Image.Image:
    """Not decoded yet. PictureError for what is no picture of the allowed formats."""
    try:
        if data.startswith(b"\x89PNG"):  # decoding does not compare a PNG's checksums; verify() does
            with Image.open(_Reader(data), formats=("PNG",)) as image:
                image.verify()
        image = Image.open(_Reader(data), formats=FORMATS)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PictureError("picture_too_large", str(fault)) from fault
    except Exception as fault:  # header parsers raise anything, too
        raise _named(data) from fault
    if image.format == "JPEG" and (work := image.width * image.height * passes(data)) > _MOST_WORK:
        raise PictureError("picture_too_large", f"decoding the picture visits {work} pixels; at most {_MOST_WORK} are")
    return image


def orientation_of(image: Image.Image) -> int:
    """By the EXIF data that the decoded `image` still has: 1 (upright) to 8."""
    exif = image.info.get("exif", b"")
    if not exif and isinstance(legacy := image.info.get("Raw profile type exif"), str):
        try:
            exif = bytes.fromhex("".join(legacy.split("\n")[3:]))
        except ValueError:
            return 1
    return orientation(exif) if isinstance(exif, bytes) else 1


def _named(data: bytes) -> PictureError:
    for start, kind in _OTHER_KINDS.items():
        if data.startswith(start):
            return _not_allowed(kind)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return _not_allowed("an HEIC")
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) or data[8:12] in (b"WEBP", b"avif"):
        return PictureError("picture_truncated", "the picture's data is cut off or damaged")
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kind = "SVG drawing" if b"<svg" in head else "web page" if head.startswith(b"<") else "picture we know"
    verb = "is not a" if kind == "picture we know" else "is a"
    return PictureError("picture_unreadable", f"the file {verb} {kind}")


def _not_allowed(kind: str) -> PictureError:
    return PictureError("picture_format_not_allowed", f"the file is {kind}; allowed are {', '.join(FORMATS)}")
