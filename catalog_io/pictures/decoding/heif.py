"""Opens HEIC pictures, which phones send, where the extra `heif` is installed."""

import io
from functools import cache

from PIL import Image

from schemas.pictures import PictureError

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heif(data: bytes) -> bool:
    """Whether the data begin as an HEIC's do."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


def open_heif(data: bytes) -> Image.Image:
    """The picture, not decoded yet; PictureError where it is damaged, or pillow-heif is not installed."""
    if not _is_registered():
        raise PictureError("picture_format_not_allowed", "the file is an HEIC; to read these, install cma-tagger[heif]")
    try:
        return Image.open(io.BytesIO(data), formats=("HEIF",))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PictureError("picture_too_large", str(fault)) from fault
    except Exception as fault:
        raise PictureError("picture_truncated", f"the picture's data is cut off or damaged ({fault})") from fault


@cache
def _is_registered() -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    return True
