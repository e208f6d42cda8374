"""CNN-GRU with attention: 3-D convolutions, a bidirectional GRU over the frames, self-attention over its steps."""

from __future__ import annotations

from torch import Tensor, nn

from tdd.errors import TddError
from tdd.models.backbones.frames import TimeAxis
from tdd.models.backbones.recurrent import Recurrent, RecurrentBackbone
from tdd.models.contract import require_positive


class TemporalAttention(nn.Module):
    """Self-attention over time with 1x1 convolutions: softmax(query^T key), unscaled, added to its input.

    Shape: x (B, channels, T) -> x + attended (B, channels, T), and the map (B, T, T) whose row t holds the weights,
    summing to one, with which step t reads every step.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(channels, channels // reduction, kernel_size=1)
        self.key = nn.Conv1d(channels, channels // reduction, kernel_size=1)
        self.value = nn.Conv1d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Attend; shapes as in the class."""
        weights = (self.query(x).transpose(1, 2) @ self.key(x)).softmax(dim=-1)  # (B, T, T)
        return x + self.value(x) @ weights.transpose(1, 2), weights


class CnnGruAttention(RecurrentBackbone):
    """The proposed network of Kim et al., IEIE Summer Conference 2024; 44,689,664 parameters with the defaults.

    Shape: video (B, 3, T, input_size, input_size) -> features (B, out_channels, T), any T.

    Args:
        input_size: height and width of a frame, in pixels; the GRU's input weights depend on it.
        widths: channels of the 3-D convolutions; each is followed by a halving of the frame.
        hidden: GRU units per direction.
        out_channels: channels of the features.
        attention_reduction: the queries and keys have 2 * hidden / attention_reduction channels.
        attention: False leaves the attention out (an ablation).
        recurrent: "gru"; for ablations "lstm", or "none", a linear map of each frame by itself, as wide as the GRU.
        time_axis: "per_frame" or "as_released"; see `to_sequence`.

    Raises:
        TddError: an argument is not positive, `input_size` is too small, `attention_reduction` does not divide
            2 * hidden, or `recurrent` or `time_axis` is unknown.
    """

    def __init__(
        self,
        input_size: int = 112,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        hidden: int = 512,
        out_channels: int = 2048,
        attention_reduction: int = 8,
        attention: bool = True,
        recurrent: Recurrent = "gru",
        time_axis: TimeAxis = "per_frame",
    ) -> None:
        name = "cnn_gru_attention"
        super().__init__(name, input_size, widths, hidden, out_channels, recurrent, time_axis)
        require_positive(name, attention_reduction=attention_reduction)
        if 2 * hidden % attention_reduction:
            raise TddError(
                f"{name}: attention_reduction must divide 2 * hidden = {2 * hidden}; got {attention_reduction}."
            )
        self.attention = TemporalAttention(2 * hidden, attention_reduction) if attention else None
        self.out = nn.Linear(2 * hidden, out_channels)

    def forward(self, video: Tensor) -> Tensor:
        """Video (B, 3, T, H, W) -> features (B, out_channels, T); another shape raises TddError."""
        if self.attention is None:
            return self.out(self.steps(video)).transpose(1, 2)
        return self.attend(video)[0]

    def attend(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and the attention map that led to them, of one pass; errors as :meth:`attention_map`."""
        if self.attention is None:
            raise TddError("This cnn_gru_attention was built with attention=False and has no attention map.")
        steps, weights = self.attention(self.steps(video).transpose(1, 2))
        return self.out(steps.transpose(1, 2)).transpose(1, 2), weights

    def attention_map(self, video: Tensor) -> Tensor:
        """Weights (B, T, T) with which each step (row) reads every step (column); each row sums to one.

        Raises:
            TddError: the video's shape does not fit, or the network was built without attention.
        """
        return self.attend(video)[1]
