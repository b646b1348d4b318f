"""Ends a JPEG whose end marker is missing, if it has all its pixels."""

from simplejpeg import decode_jpeg

from catalog_io.pictures.decoding.jpeg import JpegParts

_COEFFICIENTS = 64
_FEW = 64  # pixels of a side that are decoded: all data is read, whatever the size
_FILLING = b"\xff\0\r\n"


def with_end(data: bytes, jpeg: JpegParts) -> bytes | None:
    """The JPEG with an end marker in place of half a marker or of NULs; None where some pixels are missing.

    Pillow takes a JPEG with an end marker for whole, and paints what is missing gray. TurboJPEG warns.
    """
    if not _all_scans_there(jpeg):
        return None
    data = data[: jpeg.end]
    bare = data.rstrip(_FILLING)
    last = bare + b"\xff\0" if data.startswith(b"\xff\0", len(bare)) else bare  # 0xFF and 0 are a byte of data
    kind = "CMYK" if jpeg.frame[8] == 4 else "GRAY"  # CMYK cannot be decoded to gray
    for whole in dict.fromkeys((bare, last, data.rstrip(b"\xff"))):
        try:
            decode_jpeg(whole + b"\xff\xd9", kind, min_height=_FEW, min_width=_FEW, strict=True)
        except ValueError:
            continue
        return whole + b"\xff\xd9"
    return None


def _all_scans_there(jpeg: JpegParts) -> bool:
    """Whether the last bit of each coefficient of each component is in some scan."""
    components = {jpeg.frame[at] for at in range(9, 9 + 3 * jpeg.frame[8], 3) if at < len(jpeg.frame)}
    sent: dict[int, set[int]] = {component: set() for component in components}
    for scan in jpeg.scans:
        count = scan[2]
        if len(scan) < 6 + 2 * count:
            return False
        first, last, bits = scan[3 + 2 * count : 6 + 2 * count]
        for component in scan[3 : 3 + 2 * count : 2]:
            if bits & 15 == 0 and component in sent:
                sent[component] |= set(range(first, min(last, _COEFFICIENTS - 1) + 1))
    return all(len(coefficients) == _COEFFICIENTS for coefficients in sent.values())
