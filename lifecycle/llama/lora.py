"""Settings of low-rank adapters; apart from the model so that recipes load without torch."""

from pydantic import Field

from lifecycle.config import Config


class LoraSettings(Config):
    """Which parts of the decoder are adapted, and how."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    num_layers: int | None = Field(None, ge=1)  # counted from the top; None adapts all
