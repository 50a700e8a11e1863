# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Whoever answers in PyTorch's place shows first, on images made here, that it says the same.

What a compiler, a driver or a file from a cache got wrong is found at the start, on the machine
that will run it, and not on the road. Every pixel is looked at, and the means as well: one pixel
that is no number raises the risk flag, and an error of every pixel may be small at each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import copy
from dataclasses import replace

from emu_perception.backends.agreement import Expected
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.errors import InputError
from emu_perception.networks.families import InferenceNetwork
from emu_perception.prediction import Prediction
import numpy as np
import torch

Answer = Callable[[np.ndarray, Request], Prediction]


class Disproof(InputError):
    """A backend that says something else than PyTorch."""


def probes(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """
    Return the images [h, w, 3] by name.

    Noise, where a mistake shows everywhere and no value is rare; and smooth ramps of colour, half
    of them in the dark, which excite a network as no noise does: large even regions, few edges,
    values near 0.
    """
    height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    down, across = np.linspace(0.0, 255.0, height)[:, None], np.linspace(0.0, 255.0, width)[None]
    ramps = np.dstack(np.broadcast_arrays(across, down, 255.0 - across))
    ramps[height // 2:] *= 0.1
    return {'noise': noise, 'ramps': ramps.astype(np.uint8)}


class Proof:
    """
    What 'eager' says of the probes of a size, in float32: held against anyone who is to answer.

    In float32 whatever the precision that runs: two that round differently may each be right.

    :param network: stays as it is, where it is.
    :param size: (height, width) at the network.
    """

    @torch.inference_mode()
    def __init__(self, network: InferenceNetwork, options: BackendOptions,
                 size: tuple[int, int]) -> None:
        self.request = Request(size, size)
        self.probes = probes(size)
        if options.device.type != 'cpu':
            network = copy.deepcopy(network)  # 'eager' moves it to the device.
        eager = EagerBackend(network, replace(options, precision='fp32'))
        self._expected: dict[str, Expected] = {}
        for name, image in self.probes.items():
            raw = eager.network(eager.prepare(image, size))
            self._expected[name] = Expected(raw, eager.maps(raw, size), options,
                                            form=network.depth_form)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that is held against an answer; ``of`` makes a proof of it again."""
        return {f'{probe} {name}': values for probe, expected in self._expected.items()
                for name, values in expected.arrays.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], size: tuple[int, int]) -> Proof:
        """
        Return the proof whose ``arrays`` they are.

        :raises KeyError, ValueError: if they are not of all probes, or not whole.
        """
        proof = cls.__new__(cls)
        proof.request, proof.probes = Request(size, size), probes(size)
        of_probe: dict[str, dict[str, np.ndarray]] = {}
        for key, values in arrays.items():
            probe, _, name = key.partition(' ')
            of_probe.setdefault(probe, {})[name] = values
        if of_probe.keys() != proof.probes.keys():
            raise ValueError(f'answers to {", ".join(of_probe)}, not to {", ".join(proof.probes)}')
        proof._expected = {name: Expected.of(of_probe[name]) for name in proof.probes}
        return proof

    def check(self, name: str, answer: Answer) -> None:
        """
        Ask for an answer to every probe.

        :param name: of the backend.
        :raises Disproof: if one is another than that of 'eager'.
        """
        for probe, image in self.probes.items():
            problem = self._expected[probe].problem(answer(image, self.request))
            if problem:
                height, width = self.request.size
                raise Disproof(f"backend '{name}' is refused, it does not say what PyTorch says "
                               f"(probe '{probe}', {height}x{width}): {problem}")
