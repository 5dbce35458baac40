"""Letters and symbols rendered from the fonts that come with Matplotlib."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oodbench.contracts import Dataset, DataUnavailable, ImageSet, Info

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

SYMBOLS = "AEFHKLNPRTUVXdhknpuxΔΛΠλμπχИЯЛД#*√∀∇∩∪♠♣♥♦¤«»"
"""What is drawn: clear at 8x8 pixels, and like no digit.

Left out by eye, and by the distance of their 8x8 images to those of the digits: what looks like 0
(C c D e O o Q Ω), 1 (I i J j l f t r and brackets), 2 (Z z), 4 (Y y + Ц), 5 (S s), 6 (b G),
7 (Γ ?), 8 (B & §) or 9 (g q a ¶); and what is too wide to stay clear (M W m w Ш Щ).
"""

FONTS = tuple(
    f"{name}.ttf"
    for name in (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSans-BoldOblique",
        "DejaVuSans-Oblique",
        "DejaVuSansMono",
        "DejaVuSansMono-Bold",
        "DejaVuSansMono-BoldOblique",
        "DejaVuSansMono-Oblique",
        "DejaVuSerif",
        "DejaVuSerif-Bold",
        "DejaVuSerif-BoldItalic",
        "DejaVuSerif-Italic",
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralBolIta",
        "STIXGeneralItalic",
    )
)
"""The fonts, named so that a new font in Matplotlib changes nothing. Its Computer Modern fonts are
not among them: they hold other glyphs than the characters say."""

VARIATIONS = ((0, 0), (0, 3), (-8, 1), (8, 1), (-8, 3), (8, 3))
"""Angle in degrees, counterclockwise, and width that is added around the strokes, in pixels."""

FONT_SIZE = 96
"""Size that glyphs are drawn at, in pixels, before they are reduced."""

SIDE = 28
"""Height and width of the images; handwriting fills the height of an 8x8 digit and so do glyphs."""

WIDEST = 22
"""Most columns that a glyph may take: the digits leave the first and last of their 8 empty."""


class Glyphs(Dataset):
    """Letters and symbols, but no digits, in 16 fonts and 6 variations; no download.

    They are framed as scikit-learn's digits are (ink 255 on 0, from the top to the bottom row,
    centred, at most 6 of 8 columns wide), so that neither size nor place tells them apart. The
    variations turn a glyph and thicken its strokes. Where fonts share a glyph it is used once.
    """

    info = Info(
        name="glyphs",
        title="Glyphs",
        summary="Letters and symbols of Matplotlib's fonts, 28x28, grey; no download.",
    )
    shape = (1, SIDE, SIDE)
    num_classes = len(SYMBOLS)
    splits = ("test",)

    def load(self, root: Path, split: str) -> ImageSet:
        """Draw the images: (N, 28, 28) uint8, by symbol, font and variation; labels by symbol.

        Raises:
            DataUnavailable: if Matplotlib was installed without its fonts.
        """
        import matplotlib

        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for font in FONTS:
            if not (folder / font).is_file():
                raise DataUnavailable(
                    f"glyphs: the font {font} is missing in {folder}; "
                    "'pip install --force-reinstall matplotlib' restores Matplotlib's fonts"
                )
        labels: dict[bytes, int] = {}  # by image, which keeps those that are alike from repeating
        for label, symbol in enumerate(SYMBOLS):
            for font in FONTS:
                if _has(folder / font, symbol):
                    for angle, stroke in VARIATIONS:
                        image = _frame(_draw(folder / font, symbol, angle, stroke))
                        labels.setdefault(image.tobytes(), label)
        images = np.frombuffer(bytearray(b"".join(labels)), dtype=np.uint8)
        return ImageSet(
            images.reshape(-1, SIDE, SIDE), np.fromiter(labels.values(), dtype=np.int64)
        )


@functools.cache
def _characters(font: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font)).get_charmap())


def _has(font: Path, symbol: str) -> bool:
    return ord(symbol) in _characters(font)


@functools.cache
def _face(font: Path) -> FreeTypeFont:
    from PIL import ImageFont

    # The basic layout is there in every build of Pillow; single glyphs need no other.
    return ImageFont.truetype(str(font), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)


def _draw(font: Path, symbol: str, angle: float, stroke: int) -> Image:
    """Return a large drawing of a symbol, thickened and rotated."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (2 * FONT_SIZE, 2 * FONT_SIZE))
    ImageDraw.Draw(canvas).text(
        (FONT_SIZE, FONT_SIZE), symbol, fill=255, font=_face(font), anchor="mm", stroke_width=stroke
    )
    return canvas.crop(canvas.getbbox()).rotate(angle, Image.Resampling.BICUBIC, expand=True)


def _frame(drawing: Image) -> np.ndarray:
    """Crop a glyph and frame it like the digits: (28, 28) uint8."""
    from PIL import Image

    ink = drawing.point(lambda level: 255 if level >= 128 else 0)
    glyph = drawing.crop(ink.getbbox())
    width = min(WIDEST, round(SIDE * glyph.width / glyph.height))
    image = Image.new("L", (SIDE, SIDE))
    image.paste(glyph.resize((width, SIDE), Image.Resampling.BOX), ((SIDE - width) // 2, 0))
    return np.asarray(image)
