"""Videos of known photos with captions and a voice, for benchmarks: what is shown when is known.

    photos ─► scenes of 2 to 4 s, cuts and fades ─► every other one captioned ─► H.264 ┐
                                           a sentence, flite or espeak-ng ─► AAC ──────┴► MP4

Captions come in styles: `PLAIN` is white in a black outline near the lower edge; `STYLES` are what
else is usual. Nothing here knows servers.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.bench_speech import Voice
from inkling_server.speech import RATE_HZ
from inkling_training.data import Record
from tests.video_factory import Scene, make_video

SIZE, FPS, SCENES = (640, 360), 25, 8
_ENCODER = {"preset": "veryfast", "crf": "21"}
VOICES = (Voice("flite", "rms"), Voice("espeak-ng", "en-us"))
Colour = tuple[int, int, int, int]
_WHITE: Colour = (255, 255, 255, 255)
_BLACK: Colour = (0, 0, 0, 255)
CAPTIONS = (
    "Look what I found today",
    "My favourite so far",
    "Do you like this one",
    "Never seen before",
    "A present from my sister",
    "Second hand treasure",
)
SENTENCES = (
    "My dog loves the beach in the morning.",
    "We made pizza and coffee for the whole family.",
    "The garden is full of flowers this summer.",
    "She plays the guitar in a small band.",
    "Our cat sleeps on the sofa all day.",
    "They bought a new camera for the trip.",
    "This recipe needs rice, chicken and garlic.",
    "The train to the mountains leaves at seven.",
    "He painted the kitchen blue and white.",
    "The children built a castle near the river.",
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a caption is drawn.

    Attributes:
        name: for tables.
        fill: of the letters.
        outline: of the letters, as a share of their size; 0 for none.
        box: behind them, or None.
        font: a file of matplotlib's.
        height: where its middle is, as a share of the picture's height.
    """

    name: str
    fill: Colour = _WHITE
    outline: float = 1 / 12
    box: Colour | None = None
    font: str = "DejaVuSans-Bold.ttf"
    height: float = 0.85


PLAIN = Style("white, outlined")
STYLES = (
    PLAIN,
    Style("yellow, outlined", (255, 230, 0, 255)),
    Style("red, outlined", (230, 20, 20, 255)),
    Style("white serif, outlined, at the top", font="DejaVuSerif.ttf", height=0.12),
    Style("white on a dark box", outline=0, box=(0, 0, 0, 170), font="DejaVuSans.ttf"),
    Style("black on a white box", _BLACK, 0, (255, 255, 255, 255), "DejaVuSans.ttf"),
    Style("white, neither outline nor box", outline=0),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One scene.

    Attributes:
        record: the photo.
        start_s: when it begins; a fade's middle.
        end_s: when it ends.
        caption: drawn over it, or "".
    """

    record: Record
    start_s: float
    end_s: float
    caption: str


@dataclass(frozen=True, slots=True)
class Made:
    """One video.

    Attributes:
        path: of the file.
        shown: its scenes, in order.
        sentence: what is said.
        voice: who says it.
    """

    path: Path
    shown: tuple[Shown, ...]
    sentence: str
    voice: Voice


def make(folder: Path, number: int, records: list[Record], styles: tuple[Style, ...]) -> Made:
    """One video; everything about it follows from its number.

    Args:
        folder: where to write.
        number: seeds lengths, captions, sentence and voice.
        records: of the photos to show.
        styles: of the captions.
    """
    rng = random.Random(number)
    scenes: list[Scene] = []
    shown: list[Shown] = []
    time_s = 0.0
    for place, record in enumerate(records):
        seconds = rng.choice([2.0, 2.5, 3.0, 4.0])
        fade_s = 0.5 if place % 3 == 2 else 0.0
        caption = rng.choice(CAPTIONS) if place % 2 else ""
        overlay = None
        if caption:
            size = rng.choice([24, 28, 32, 40])
            overlay = drawn(caption, size, styles[(number + place // 2) % len(styles)])
        scenes.append(Scene(pixels_of(record), seconds, fade_s, overlay=overlay))
        if shown and fade_s:
            last = shown[-1]
            shown[-1] = Shown(last.record, last.start_s, time_s + fade_s / 2, last.caption)
        shown.append(Shown(record, time_s + fade_s / 2, time_s + seconds, caption))
        time_s += seconds
    sentence, voice = SENTENCES[number % len(SENTENCES)], VOICES[number % len(VOICES)]
    sound_N = np.zeros(round(time_s * RATE_HZ), np.int16)
    said_N = voice.say(sentence)[: len(sound_N) - RATE_HZ]
    sound_N[RATE_HZ : RATE_HZ + len(said_N)] = said_N
    path = folder / f"video{number}.mp4"
    make_video(path, scenes, size=SIZE, fps=FPS, sound=sound_N, options=_ENCODER)
    return Made(path, tuple(shown), sentence, voice)


def drawn(caption: str, size: int, style: Style = PLAIN) -> NDArray[np.uint8]:
    """A caption as its author would lay it over the picture, RGBA [H, W, 4].

    Args:
        caption: one line.
        size: of the letters, in pixels.
        style: how it looks.
    """
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(str(folder / style.font), size)
    middle = SIZE[0] / 2, SIZE[1] * style.height
    if style.box is not None:
        left, top, right, bottom = draw.textbbox(middle, caption, font=font, anchor="mm")
        draw.rectangle((left - 8, top - 6, right + 8, bottom + 6), fill=style.box)
    draw.text(
        middle,
        caption,
        font=font,
        anchor="mm",
        fill=style.fill,
        stroke_width=max(2, round(size * style.outline)) if style.outline else 0,
        stroke_fill=_BLACK,
    )
    return np.asarray(image, np.uint8)


def pixels_of(record: Record) -> NDArray[np.uint8]:
    """A photo's pixels [H, W, 3]."""
    decoded = cv2.imdecode(np.frombuffer(record.picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise RuntimeError("a photo of the sample data cannot be decoded")
    return np.asarray(decoded, np.uint8)


def as_shown(folder: Path, record: Record, overlay: NDArray[np.uint8] | None = None) -> bytes:
    """A JPEG of the photo alone, cut, scaled and encoded as the video shows it.

    Args:
        folder: for the video.
        record: of the photo.
        overlay: laid over it, or None.
    """
    path = make_video(
        folder / "alone.mp4",
        [Scene(pixels_of(record), 0.2, overlay=overlay)],
        size=SIZE,
        fps=10,
        options=_ENCODER,
    )
    reading = cv2.VideoCapture(str(path))
    _, frame_HW3 = reading.read()
    reading.release()
    return bytes(cv2.imencode(".jpg", frame_HW3, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def different(records: list[Record], rng: random.Random) -> list[Record]:
    """Photos of different classes."""
    chosen: list[Record] = []
    while len(chosen) < SCENES:
        record = rng.choice(records)
        if all(record.tags[0] != other.tags[0] for other in chosen):
            chosen.append(record)
    return chosen
