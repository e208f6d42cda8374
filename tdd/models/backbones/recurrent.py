"""What CNN-LSTM and CNN-GRU share: the convolution stem, and a recurrent layer that reads its maps step by step."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from tdd.errors import TddError
from tdd.models.backbones.frames import ConvStem, TimeAxis, check_time_axis, pooled_size, to_sequence
from tdd.models.contract import Backbone, require_positive, require_video

Recurrent = Literal["gru", "lstm", "none"]


class RecurrentBackbone(Backbone):
    """Stem and recurrent layer; a subclass adds what it does with the steps, and its linear map ``out`` at the end.

    Shape of :meth:`steps`: video (B, 3, T, input_size, input_size) -> (B, T, 2 * hidden), any T.

    Args:
        name: of the network, for errors.
        input_size: height and width of a frame, in pixels; the recurrent layer's input weights depend on it.
        widths: channels of the 3-D convolutions; each is followed by a halving of the frame.
        hidden: units per direction.
        out_channels: channels of the features.
        recurrent: "gru", "lstm", or "none", a linear map of each step by itself, as wide as the others.
        time_axis: "per_frame" or "as_released"; see `to_sequence`.

    Raises:
        TddError: an argument is not positive, `input_size` is too small, or `recurrent` or `time_axis` is unknown.
    """

    def __init__(
        self,
        name: str,
        input_size: int,
        widths: tuple[int, ...],
        hidden: int,
        out_channels: int,
        recurrent: Recurrent,
        time_axis: TimeAxis,
    ) -> None:
        super().__init__()
        size = pooled_size(name, input_size, widths)
        require_positive(name, hidden=hidden, out_channels=out_channels)
        check_time_axis(name, time_axis)
        if recurrent not in get_args(Recurrent):
            raise TddError(f"{name}: recurrent must be 'gru', 'lstm' or 'none'; got {recurrent!r}.")
        self.name = name
        self.input_size = input_size
        self.out_channels = out_channels
        self.recurrent: Recurrent = recurrent
        self.time_axis: TimeAxis = time_axis
        self.stem = ConvStem(widths)
        channels = widths[-1] * size * size
        # Each kind under a name of its own: weights of one are then refused by another, not loaded into it.
        if recurrent == "gru":
            self.gru = nn.GRU(channels, hidden, batch_first=True, bidirectional=True)
        elif recurrent == "lstm":
            self.lstm = nn.LSTM(channels, hidden, batch_first=True, bidirectional=True)
        else:
            self.linear = nn.Linear(channels, 2 * hidden)

    def steps(self, video: Tensor) -> Tensor:
        """Outputs of the recurrent layer (B, T, 2 * hidden); video of another shape raises TddError."""
        require_video(self.name, video, self.input_size)
        sequence = to_sequence(self.stem(video), self.time_axis)
        if self.recurrent == "none":
            return self.linear(sequence)
        return (self.gru if self.recurrent == "gru" else self.lstm)(sequence)[0]
