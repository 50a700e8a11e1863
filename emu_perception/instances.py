# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Instances from centroid votes (Kendall, Gal and Cipolla, arXiv 1705.07115, section 4).

Every pixel of a thing votes for the centre of its instance. The votes of each class are clustered
by OPTICS, and each pixel goes to the centre nearest to its vote. An instance that an occluder
splits has one centre, so it stays one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
import warnings

from emu_perception.errors import InputError
from emu_perception.rules import Rule
import numpy as np

NO_INSTANCE = 0
_MOST_VOTES = 20_000
# An eps below a pixel would tear apart what votes for the same pixel.
_MIN_EPS_PX = 1.0
_SEED = 20170519
_THING = Rule(int, low=0, high=254)
_RULES: dict[str, Rule] = {
    'votes': Rule(int, low=1, high=_MOST_VOTES), 'max_votes': Rule(int, low=1, high=_MOST_VOTES),
    'min_samples': Rule(int, low=2, high=_MOST_VOTES), 'reach': Rule(float, low=1.0, high=100.0),
    'max_eps_px': Rule(float, low=1.0, high=1e4), 'separation': Rule(float, low=0.0, high=100.0),
    'max_radius_px': Rule(float, low=1.0, high=1e4), 'min_size': Rule(int, low=1, high=2 ** 24)}


@dataclass(frozen=True)
class InstanceSettings:
    """
    How votes become instances; lengths and areas in pixels at the network's size.

    :ivar things: indices of the classes that have instances.
    :ivar votes: of one class that are clustered, a random subsample: OPTICS takes about a third of
        a millisecond for each.
    :ivar max_votes: of one image; where all classes together have more, each gets its share.
    :ivar min_samples: votes that make a neighbourhood dense: OPTICS' parameter.
    :ivar reach: a cluster ends where votes are this many times sparser (in distance) than the
        median vote of the class.
    :ivar max_eps_px: and at this distance between votes at the latest: sparser ones are noise.
    :ivar separation: two centres are one where they are nearer to each other than this many times
        the sum of their votes' median distances to them: halves of one blob, not two objects.
    :ivar max_radius_px: a vote farther than this from every centre belongs to no instance.
    :ivar min_size: pixels of the smallest instance.
    :raises InputError: if a value is out of its range.
    """

    things: tuple[int, ...]
    votes: int = 4000
    max_votes: int = 6000
    min_samples: int = 12
    reach: float = 2.0
    max_eps_px: float = 8.0
    separation: float = 2.0
    max_radius_px: float = 32.0
    min_size: int = 32

    def __post_init__(self) -> None:
        """Check every value and bring it to its type."""
        try:
            things = tuple(sorted(_THING.checked(index) for index in self.things))
            if len(set(things)) != len(things):
                raise ValueError('an index is there twice')
        except (TypeError, ValueError) as error:
            raise InputError(f'things is {str(self.things)[:80]}: give a list of class '
                             'indices') from error
        object.__setattr__(self, 'things', things)
        for name, rule in _RULES.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, rule.checked(value))
            except ValueError as error:
                raise InputError(f'{name} is {str(value)[:80]}: {error}') from error

    @classmethod
    def of(cls, values: object) -> InstanceSettings:
        """
        Return the settings of a JSON object.

        :raises InputError: if a field is missing, unknown or out of its range.
        """
        if not isinstance(values, dict) or 'things' not in values:
            raise InputError('give an object with things, a list of class indices')
        unknown = values.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise InputError(f"'{min(unknown)}' is none of its fields")
        return cls(**values)


def need_clustering() -> None:
    """
    Check that what clusters can be imported.

    :raises InputError: if it cannot.
    """
    try:
        import sklearn.cluster  # noqa: F401
    except ImportError as error:
        raise InputError('instances are clustered with scikit-learn, which is not installed: pip '
                         'install scikit-learn') from error


def cluster_instances(label: np.ndarray, vectors: np.ndarray,
                      settings: InstanceSettings) -> np.ndarray:
    """
    Tell the instances of things apart; the same input always gives the same result.

    :param label: uint8 [H, W], class indices.
    :param vectors: float32 [2, H, W], (dx, dy) from each pixel to its instance's centroid, pixels.
    :return: uint16 [H, W], 0 = none; 1, 2, ... by class, within a class the largest first.
    :raises InputError: if scikit-learn is not installed.
    """
    need_clustering()
    found = np.zeros(label.shape, np.uint16)
    votes: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for thing in settings.things:
        rows, columns = np.nonzero(label == thing)
        dx, dy = vectors[:, rows, columns].astype(np.float64)
        ends = np.stack([columns + dx, rows + dy], axis=1)
        # A vote that is not finite is for no place at all.
        good = np.isfinite(ends).all(axis=1)
        if good.sum() >= max(settings.min_size, settings.min_samples):
            votes[thing] = np.flatnonzero(label == thing)[good], ends[good]
    shares = _shares({thing: len(ends) for thing, (_, ends) in votes.items()}, settings)
    last = NO_INSTANCE
    for thing, (places, ends) in votes.items():
        owner = _owners(ends, _centres(_sample(ends, shares[thing], thing), settings),
                        settings.max_radius_px)
        sizes = np.bincount(owner[owner >= 0], minlength=1)
        for cluster in np.argsort(-sizes, kind='stable'):
            if sizes[cluster] >= settings.min_size:
                last += 1
                found.flat[places[owner == cluster]] = last
    return found


def _shares(counts: dict[int, int], settings: InstanceSettings) -> dict[int, int]:
    """Return how many votes of each class are clustered; small classes keep all of theirs."""
    shares, left = {}, settings.max_votes
    for position, thing in enumerate(sorted(counts, key=lambda thing: counts[thing])):
        fair = left // (len(counts) - position)
        shares[thing] = min(counts[thing], settings.votes, fair)
        left -= shares[thing]
    return shares


def _sample(ends: np.ndarray, count: int, thing: int) -> np.ndarray:
    if count == len(ends):
        return ends
    # Seeded by class: what is drawn of one does not depend on the others in the image.
    return ends[np.random.default_rng((_SEED, thing)).choice(len(ends), count, replace=False)]


def _centres(votes: np.ndarray, settings: InstanceSettings) -> np.ndarray:
    """
    Return the centres [N, 2] of the clusters among votes [M, 2].

    OPTICS gives each vote the distance at which it is reached; a cluster is what hangs together
    below a threshold. It follows the votes' own density (``reach`` times the median core
    distance), since a network's votes scatter by half a pixel or by ten. OPTICS' own way, to
    look for steep flanks (xi), tears single blobs apart where it finds touching ones.

    A small object's votes may all be sparser than those of the large ones that set the threshold,
    and would be noise: what hangs together below max_eps_px and holds no cluster is one as well.
    """
    if len(votes) < settings.min_samples:
        return np.empty((0, 2))
    from sklearn import config_context
    from sklearn.cluster import cluster_optics_dbscan, OPTICS
    # Else it checks its parameters again at every vote, a quarter of its time.
    with (config_context(assume_finite=True, skip_parameter_validation=True),
          warnings.catch_warnings()):
        # That all votes are noise is a finding like another.
        warnings.filterwarnings('ignore', 'All reachability values are inf')
        # By its own 'dbscan' at the largest eps: without it OPTICS would look for flanks as well.
        optics = OPTICS(min_samples=settings.min_samples, max_eps=settings.max_eps_px,
                        cluster_method='dbscan', eps=settings.max_eps_px).fit(votes)
    # Of a vote with too few neighbours within max_eps the core distance is inf.
    eps = max(_MIN_EPS_PX, settings.reach * float(np.median(optics.core_distances_)))
    owner, wide = (cluster_optics_dbscan(
        reachability=optics.reachability_, core_distances=optics.core_distances_,
        ordering=optics.ordering_, eps=cut)
        for cut in (min(eps, settings.max_eps_px), settings.max_eps_px))
    groups = [votes[owner == cluster] for cluster in range(owner.max() + 1)]
    groups += [votes[wide == cluster] for cluster in range(wide.max() + 1)
               if (owner[wide == cluster] < 0).all()]
    blobs = _merged([_Blob(group) for group in groups], settings.separation)
    # Votes all over the place hang together too where they are many: no object's centre.
    return np.array([blob.centre for blob in blobs
                     if blob.spread <= settings.max_radius_px]).reshape(-1, 2)


class _Blob:
    """Votes of one cluster [M, 2], their centre, and their median distance to it."""

    def __init__(self, votes: np.ndarray) -> None:
        self.votes = votes
        self.centre = np.median(votes, axis=0)
        self.spread = float(np.median(np.hypot(*(votes - self.centre).T)))


def _merged(blobs: list[_Blob], separation: float) -> list[_Blob]:
    """Join the pair that is nearest for its spread, again and again, while it is too near."""
    while len(blobs) > 1:
        centres = np.stack([blob.centre for blob in blobs])
        spreads = np.array([blob.spread for blob in blobs])
        apart = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1))
        excess = apart - separation * (spreads[:, None] + spreads)
        np.fill_diagonal(excess, np.inf)
        one, two = sorted(divmod(int(excess.argmin()), len(blobs)))
        if excess[one, two] >= 0:
            break
        blobs[one] = _Blob(np.concatenate([blobs[one].votes, blobs.pop(two).votes]))
    return blobs


def _owners(ends: np.ndarray, centres: np.ndarray, radius: float) -> np.ndarray:
    """Return the nearest centre of each vote, -1 where none is within ``radius`` pixels."""
    if not len(centres):
        return np.full(len(ends), -1)
    from sklearn.neighbors import KDTree
    distance, nearest = KDTree(centres).query(ends)
    return np.where(distance <= radius, nearest, -1)[:, 0]
