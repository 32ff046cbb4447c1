"""Smaller copies of images."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest
from PIL import Image

from app.files.images import NotResizable, Wanted, resize


def picture(kind: str, size: tuple[int, int] = (640, 480), mode: str = "RGB") -> bytes:
    noise = random.Random(1).randbytes(64 * 48 * len(mode))
    image = Image.frombytes(mode, (64, 48), noise).resize(size)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "media_type"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "png")]
)
def test_an_image_fits_into_the_box_and_keeps_its_shape(kind: str, media_type: str) -> None:
    made = resize(picture(kind), Wanted(width=160, height=160))
    assert made is not None
    with Image.open(io.BytesIO(made[0])) as image:
        assert image.size == (160, 120)
        assert made[1] == f"image/{media_type}" == f"image/{(image.format or '').lower()}"


def test_one_that_fits_is_left_as_it_is() -> None:
    assert resize(picture("PNG"), Wanted(width=640)) is None
    assert resize(picture("PNG"), Wanted(width=1000, height=1000, size=10_000_000)) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_made_to_weigh_less(kind: str) -> None:
    original = picture(kind, mode="RGB")
    made = resize(original, Wanted(size=8192))
    assert made is not None
    assert len(made[0]) <= 8192 < len(original)


def test_transparency_stays() -> None:
    made = resize(picture("PNG", mode="RGBA"), Wanted(width=64))
    assert made is not None
    with Image.open(io.BytesIO(made[0])) as image:
        assert image.mode == "RGBA"


def test_a_photo_taken_sideways_is_turned_and_loses_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    out = io.BytesIO()
    Image.new("RGB", (640, 480), "red").save(out, "JPEG", exif=exif)
    made = resize(out.getvalue(), Wanted(height=320))
    assert made is not None
    with Image.open(io.BytesIO(made[0])) as image:
        assert image.size == (240, 320)
        assert not dict(image.getexif())


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(10_000_000)))
        + chunk(b"IEND", b"")
    )
    assert len(bomb) < 20_000
    with pytest.raises(NotResizable):
        resize(bomb, Wanted(width=100))


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(NotResizable):
        resize(content, Wanted(width=100))


def test_one_image_has_few_copies_whatever_is_asked_for() -> None:
    names = {Wanted(width=width).name for width in range(1, 2001)}
    assert len(names) <= 15 + 125
    assert len({Wanted(size=size).name for size in range(1, 100_000)}) <= 17
