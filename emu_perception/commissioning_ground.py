# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How far a network's metres are off before a robot's camera, by the ground that it drives on."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

from emu_perception.cameras.camera import Camera
from emu_perception.commissioning_depth import is_off, off_in_words
from emu_perception.fusion import Ground, heard, ScaleBelief
from emu_perception.fusion.ground import GROUND_SIGMA
from emu_perception.network_maps import NetworkMaps
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction
import numpy as np

_FEWEST_FRAMES = 3


@dataclass
class GroundCheck:
    """
    What the ground says of a recording's frames, whose camera's height is known.

    :ivar classes: of the network, by index; ``names`` those of the ground.
    :ivar frames: that were asked.
    :ivar log_ratios: natural logarithms of predicted / true, of those that show ground.
    :ivar problems: of those whose ground the node would not believe, why.
    """

    mounting: Mounting
    classes: tuple[str, ...]
    names: tuple[str, ...]
    frames: int = 0
    log_ratios: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def see(self, maps: NetworkMaps, camera: Camera) -> None:
        """Ask a frame; one of a network without labels or depth is none."""
        if maps.depth is None or maps.label is None or maps.confidence is None:
            return
        self.frames += 1
        seen = Prediction({'label': maps.label.cpu().numpy(),
                           'confidence': maps.confidence.cpu().numpy()}, {}, maps.size)
        word = heard(ScaleBelief.before(), maps.depth.cpu().numpy(), Ground.of(
            seen, camera, self.mounting, self.classes, self.names))
        if word.reading is not None:
            self.log_ratios.append(-word.reading.log_factor)
        self.problems += [word.problem] if word.problem else []

    @property
    def ratio(self) -> float | None:
        """Return predicted / true, the median over the frames; None where too few show ground."""
        if len(self.log_ratios) < _FEWEST_FRAMES:
            return None
        return math.exp(float(np.median(self.log_ratios)))

    @property
    def sentence(self) -> str:
        """Return it for people."""
        shown = f'{len(self.log_ratios)} of {self.frames} frames'
        ratio = self.ratio
        if ratio is None:
            return (f'ground ({", ".join(self.names)}) is seen in {shown}: too little to say '
                    'whether depth is right here')
        low, high = np.exp(np.percentile(self.log_ratios, (10, 90)))
        text = (f'by the ground {off_in_words(ratio)} (median of {shown}, 80 % of them between '
                f'{low:.2f} and {high:.2f})')
        if 2 * len(self.problems) > len(self.log_ratios):
            return (f'{text}, but the node would not believe {len(self.problems)} of them: '
                    f'{self.problems[-1]}')
        return text + (': set ground_scale, fine-tune, or give it a depth camera'
                       if is_off(ratio) else '')

    def differs(self, ratio: float) -> bool:
        """Tell whether a depth camera says another ratio than the ground may, by its own error."""
        own = self.ratio
        return own is not None and abs(math.log(own / ratio)) > 2.0 * GROUND_SIGMA

    def as_json(self) -> dict[str, object]:
        """Return it for the checkpoint's document."""
        return {'height_m': self.mounting.height_m,
                'pitch_deg': math.degrees(self.mounting.pitch_rad), 'classes': list(self.names),
                'frames': self.frames, 'seen': len(self.log_ratios),
                'refused': len(self.problems), 'ratio': self.ratio}
