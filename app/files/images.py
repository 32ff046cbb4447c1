"""Smaller copies of images, in a process of their own: see resize.py.

What claims to be enormous is refused before it is unpacked.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import sqrt

from PIL import Image, ImageOps

from app.errors import ParleyError

#: Media types that can be made smaller, and Pillow's names for them.
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
#: Pixels of an image that is unpacked: about 200 MB of memory at worst.
MOST_PIXELS = 50_000_000
#: Widths are multiples of this, so that one image has a bounded number of smaller copies.
_STEP = 16
_QUALITIES = (85, 60)
_SMALLEST = 16
#: How many times the bytes allowed an image may have for lower quality alone to make it fit.
_BY_QUALITY = 2
#: Pixels up to which a PNG is worth being packed as tightly as can be.
_PACKED_TIGHTLY = 1_000_000


class NotResizable(ParleyError):
    """The image can't be resized."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The box that an image must fit into, and its bytes at most; None: whatever it has."""

    width: int | None = None
    height: int | None = None
    size: int | None = None

    def __bool__(self) -> bool:
        return (self.width, self.height, self.size) != (None, None, None)

    @property
    def name(self) -> str:
        """What a copy is kept under. Sizes count as powers of two, so that there are few."""
        return f"{_down(self.width)}x{_down(self.height)}x{self.bytes_at_most or ''}"

    @property
    def bytes_at_most(self) -> int | None:
        """The bytes it really is held to: the power of two below."""
        return None if self.size is None else 1 << (self.size.bit_length() - 1)


def _down(pixels: int | None) -> int | str:
    """The multiple of _STEP below, so that one image has a bounded number of copies."""
    return "" if pixels is None else max(pixels // _STEP * _STEP, min(pixels, _STEP))


def resize(content: bytes, wanted: Wanted) -> tuple[bytes, str] | None:
    """The image within the box, and its media type; None where it fits already. Raises NotResizable.

    Turned as its camera said, without its metadata; of an animation the first picture.
    """
    try:
        with Image.open(io.BytesIO(content), formats=list(FORMATS.values())) as image:
            if image.width * image.height > MOST_PIXELS:
                raise NotResizable("The image has too many pixels")
            return _resize(image, len(content), wanted)
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        raise NotResizable from None


def _resize(image: Image.Image, size: int, wanted: Wanted) -> tuple[bytes, str] | None:
    box = _box(image, wanted)
    limit = wanted.bytes_at_most
    if limit is not None and size > limit:
        box = _lighter(image, box, size, limit)
    elif box is None:
        return None
    kind = image.format if image.format in ("JPEG", "WEBP") else "PNG"
    if box is not None:
        image.draft("RGB", box)  # a JPEG is unpacked smaller at once
    picture: Image.Image = image
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode not in ("RGB", "RGBA", "L"):
        picture = picture.convert(
            "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
        )
    if kind == "JPEG" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    if box is not None:
        picture.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    made = _encoded(picture, kind, _QUALITIES[0]) if limit is None else _within(picture, kind, limit)
    return made, f"image/{kind.lower()}"


def _box(image: Image.Image, wanted: Wanted) -> tuple[int, int] | None:
    """The size it gets; None where it has that already."""
    width, height = _turned(image)
    most_width, most_height = _down(wanted.width) or width, _down(wanted.height) or height
    if width <= int(most_width) and height <= int(most_height):
        return None
    return _scaled(width, height, min(int(most_width) / width, int(most_height) / height))


def _lighter(
    image: Image.Image, box: tuple[int, int] | None, size: int, limit: int
) -> tuple[int, int] | None:
    """The size it gets where it has far more bytes than it may: encoding it in full would be in vain."""
    width, height = _turned(image)
    scale = sqrt(limit * _BY_QUALITY / size)
    if scale >= 1 or (box is not None and box[0] <= width * scale):
        return box
    return _scaled(width, height, scale)


def _turned(image: Image.Image) -> tuple[int, int]:
    """Width and height as it is shown."""
    width, height = image.size
    return (height, width) if image.getexif().get(0x0112, 1) >= 5 else (width, height)


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _within(picture: Image.Image, kind: str, limit: int) -> bytes:
    """Encoded within `limit` bytes: at lower quality where that may do, else smaller."""
    while True:
        for quality in _QUALITIES if kind != "PNG" else (0,):
            encoded = _encoded(picture, kind, quality)
            if len(encoded) <= limit:
                return encoded
            if len(encoded) > limit * _BY_QUALITY:
                break
        if min(picture.size) <= _SMALLEST:
            raise NotResizable("The image can't be made that small")
        scale = min(sqrt(limit / len(encoded)), 0.7)
        picture = picture.resize(_scaled(picture.width, picture.height, scale), reducing_gap=2.0)


def _encoded(picture: Image.Image, kind: str, quality: int) -> bytes:
    """In a way that costs little, but for small PNGs."""
    encoded = io.BytesIO()
    match kind:
        case "PNG":
            picture.save(encoded, kind, optimize=picture.width * picture.height <= _PACKED_TIGHTLY)
        case "WEBP":
            picture.save(encoded, kind, quality=quality, method=0)
        case _:
            picture.save(encoded, kind, quality=quality)
    return encoded.getvalue()
