"""CNN-LSTM: 3-D convolutions, then a bidirectional LSTM over the frames."""

from __future__ import annotations

from torch import Tensor, nn

from tdd.models.backbones.frames import TimeAxis
from tdd.models.backbones.recurrent import RecurrentBackbone


class CnnLstm(RecurrentBackbone):
    """CNN-LSTM of Kim et al., IEIE Summer Conference 2024; 107,244,288 parameters with the defaults.

    Shape: video (B, 3, T, input_size, input_size) -> features (B, out_channels, T), any T.

    Args:
        input_size: height and width of a frame, in pixels; the LSTM's input weights depend on it.
        widths: channels of the 3-D convolutions; each is followed by a halving of the frame.
        hidden: LSTM units per direction.
        out_channels: channels of the features.
        time_axis: "per_frame" or "as_released"; see `to_sequence`.

    Raises:
        TddError: an argument is not positive, `input_size` is too small, or `time_axis` is unknown.
    """

    def __init__(
        self,
        input_size: int = 112,
        widths: tuple[int, ...] = (32, 64, 128),
        hidden: int = 512,
        out_channels: int = 2048,
        time_axis: TimeAxis = "per_frame",
    ) -> None:
        super().__init__("cnn_lstm", input_size, widths, hidden, out_channels, "lstm", time_axis)
        self.out = nn.Linear(2 * hidden, out_channels)

    def forward(self, video: Tensor) -> Tensor:
        """Video (B, 3, T, H, W) -> features (B, out_channels, T); another shape raises TddError."""
        return self.out(self.steps(video)).transpose(1, 2)
