"""Smaller copies of images. Runs in a thread; what claims to be enormous is refused before it is unpacked."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageOps

from app.errors import ParleyError

#: Media types that can be made smaller, and Pillow's names for them.
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
#: Pixels of an image that is unpacked: about 200 MB of memory at worst.
MOST_PIXELS = 50_000_000
#: Widths are multiples of this, so that one image has a bounded number of smaller copies.
_STEP = 16
_QUALITIES = (85, 70, 55, 40)
_SMALLEST = 16


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
    if box is None and (limit is None or size <= limit):
        return None
    kind = image.format if image.format in ("JPEG", "WEBP") else "PNG"
    if box is not None:
        image.draft("RGB", box)  # a JPEG is unpacked smaller at once
    picture = ImageOps.exif_transpose(image)
    if picture.mode not in ("RGB", "RGBA", "L"):
        picture = picture.convert(
            "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
        )
    if kind == "JPEG" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    if box is not None:
        picture.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _within(picture, kind, limit), f"image/{kind.lower()}"


def _box(image: Image.Image, wanted: Wanted) -> tuple[int, int] | None:
    """The size it gets; None where it has that already."""
    width, height = image.size
    if image.getexif().get(0x0112, 1) >= 5:  # lies on its side
        width, height = height, width
    most_width, most_height = _down(wanted.width) or width, _down(wanted.height) or height
    if width <= int(most_width) and height <= int(most_height):
        return None
    scale = min(int(most_width) / width, int(most_height) / height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _within(picture: Image.Image, kind: str, limit: int | None) -> bytes:
    """Encoded within `limit` bytes: first at lower quality, then smaller."""
    while True:
        for quality in _QUALITIES if kind != "PNG" else (0,):
            encoded = io.BytesIO()
            options = {"optimize": True} if kind == "PNG" else {"quality": quality}
            picture.save(encoded, kind, **options)
            if limit is None or encoded.tell() <= limit:
                return encoded.getvalue()
        if min(picture.size) <= _SMALLEST:
            raise NotResizable("The image can't be made that small")
        picture = picture.resize((max(int(picture.width * 0.7), 1), max(int(picture.height * 0.7), 1)))
