"""How large the embedded benchmark is made: three named sizes, and the counts behind them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from tdd.errors import TddError
from tdd.names import LIP_RETIMING, SYNTHETIC_METHODS


@dataclass(frozen=True)
class SynthSize:
    """Counts of one size of the embedded benchmark.

    Attributes:
        name: what the size is called in ``synth.json``.
        image_px: width and height of every video, pixels; even.
        words: number of different words of the LRW-like set.
        lrw_train: clips of the training split, all words together.
        lrw_val: clips of the validation split.
        lrw_test: clips of the test split.
        lrw_speakers: people of the (train, val, test) splits; nobody appears in two.
        lrw_frames: frames of a clip at 25 per second; LRW has 29.
        ff_pairs: FaceForensics++-like pairs of the (train, val, test) splits; a pair is 2 reals and 2 fakes a method.
        ff_frames: least and greatest number of frames of a FaceForensics++-like or Celeb-DF-like video.
        celeb_people: celebrities, each target and source of Celeb-DF-like swaps.
        celeb_real: videos of celebrities in the test list (label 1).
        youtube_real: videos of other people in the test list (label 1).
        celeb_fake: swaps in the test list (label 0).
        methods: forgeries that this size is made with where nothing else is said.

    Raises:
        TddError: a count makes no data set.
    """

    name: str
    image_px: int
    words: int
    lrw_train: int
    lrw_val: int
    lrw_test: int
    lrw_speakers: tuple[int, int, int]
    ff_pairs: tuple[int, int, int]
    ff_frames: tuple[int, int]
    celeb_people: int
    celeb_real: int
    youtube_real: int
    celeb_fake: int
    lrw_frames: int = 29
    methods: tuple[str, ...] = SYNTHETIC_METHODS

    def __post_init__(self) -> None:
        if self.image_px < 64 or self.image_px % 2:
            raise TddError(
                f"image_px is {self.image_px}; a video of the benchmark is even and at least 64 pixels wide."
            )
        if not 1 <= self.ff_frames[0] <= self.ff_frames[1] or self.lrw_frames < 1:
            raise TddError(
                f"ff_frames is {self.ff_frames}; give the least and the greatest number of frames, from 1 up."
            )
        if (self.celeb_real or self.celeb_fake) and self.celeb_people < 2:
            raise TddError(f"celeb_people is {self.celeb_people}; a swap needs at least 2 people.")
        clips = (self.lrw_train, self.lrw_val, self.lrw_test)
        if any(count and not people for count, people in zip(clips, self.lrw_speakers, strict=True)):
            raise TddError(f"lrw_speakers is {self.lrw_speakers}; a split with clips needs at least 1 speaker.")

    def as_dict(self) -> dict[str, object]:
        """The counts as JSON holds them (tuples become lists)."""
        counts = {key: value for key, value in asdict(self).items() if key != "methods"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in counts.items()}


_DEMO = SynthSize(
    name="demo",
    image_px=160,
    words=60,
    lrw_train=600,
    lrw_val=96,  # three groups of the 32 clips among which retrieval is asked
    lrw_test=4,  # nothing scores them: they are there for the layout
    lrw_speakers=(60, 16, 4),
    ff_pairs=(24, 20, 20),
    ff_frames=(44, 48),
    celeb_people=24,
    celeb_real=24,
    youtube_real=16,
    celeb_fake=40,
)

SIZES: dict[str, SynthSize] = {
    "tiny": SynthSize(
        name="tiny",
        image_px=96,
        words=4,
        lrw_train=16,
        lrw_val=4,
        lrw_test=2,
        lrw_speakers=(4, 2, 1),
        ff_pairs=(2, 1, 2),
        ff_frames=(29, 30),
        celeb_people=2,
        celeb_real=2,
        youtube_real=1,
        celeb_fake=2,
    ),
    "demo": _DEMO,
    # Learns from as much as demo, and is tested on as much as the paper.
    "study": replace(
        _DEMO,
        name="study",
        ff_pairs=(_DEMO.ff_pairs[0], 70, 70),
        celeb_people=59,
        celeb_real=108,
        youtube_real=70,
        celeb_fake=340,
        methods=(*SYNTHETIC_METHODS, LIP_RETIMING),
    ),
    "full": SynthSize(
        name="full",
        image_px=256,
        words=72,  # all that words.py has; LRW has 500
        lrw_train=5_000,
        lrw_val=500,
        lrw_test=500,
        lrw_speakers=(500, 50, 50),
        ff_pairs=(360, 70, 70),
        ff_frames=(110, 140),
        celeb_people=59,
        celeb_real=108,
        youtube_real=70,
        celeb_fake=340,
    ),
}
"""``tiny`` for tests (seconds), ``demo`` for the main job (minutes), ``study`` with the official numbers of validation
and test videos (as long again), ``full`` with all official counts (hours)."""


def size_of(size: str | SynthSize) -> SynthSize:
    """The counts of a named size, or the given counts themselves.

    Raises:
        TddError: no size has this name.
    """
    if isinstance(size, SynthSize):
        return size
    if size not in SIZES:
        raise TddError(f"size {size!r} is unknown; choose one of {', '.join(SIZES)}.")
    return SIZES[size]
