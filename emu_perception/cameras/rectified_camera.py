# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From the camera of an image as the lens gives it to the camera of the rectified one."""

from __future__ import annotations

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.lens import lens_of
from emu_perception.cameras.pinhole import k_of, p_of, Pinhole
from emu_perception.cameras.plausibility import implausible, Remark
from emu_perception.cameras.rectification import rectification, rotation_of, View

# The image is distorted and nothing can take that out: a guess of its focal length would not mend
# the metres at its edges.
UNRECTIFIABLE = 'unrectifiable'
_SLIGHT_ZOOM = 1.02  # By less, nobody misses anything.


def rectified_camera(raw: Camera, p_believed: bool = True) -> tuple[Camera | Remark, list[Remark]]:
    """
    Return the camera of the rectified image, or why there is none, and what is odd about it.

    The view is P's and R's, as image_proc's; K's, unrotated, where these cannot be used. What goes
    out describes it: P = K, R = I, D = 0.

    :param raw: of the image as it comes, from a plausible K.
    :param p_believed: whether P may be of this lens.
    """
    info, lens = raw.info, lens_of(raw.info)
    if isinstance(lens, str):
        return impossible(f'with {lens}'), []
    if not k_of(info).is_set:
        return impossible('without a K'), []
    odd = []
    own = Pinhole(raw.fx, raw.fy, raw.cx, raw.cy)
    views = [View(own)]
    rotation, wanted = rotation_of(info.r), p_of(info)
    if rotation is None:
        odd.append(Remark('no_rotation', 'has an R that is no rotation: the image is rectified to '
                          'K; calibrate again'))
    elif p_believed and wanted.is_set and not implausible(
            wanted.in_image(info), info, raw.width, raw.height):
        views.insert(0, View(wanted.in_image(info), rotation))
    made = (rectification(lens, own, view, raw.width, raw.height) for view in views)
    used = next((one for one in made if one is not None), None)
    if used is None:
        return impossible('that turns back inside the image, or leaves little of it'), odd
    if used.zoom > _SLIGHT_ZOOM:
        odd.append(Remark('zoomed', 'has a view (P) that shows more than the lens saw: the '
                          f'rectified image is zoomed by {used.zoom:.2f}, so that no corner is '
                          'empty'))
    one = used.view.pinhole
    return Camera(raw.width, raw.height, one.fx, one.fy, one.cx, one.cy, False,
                  pinhole_info(raw.width, raw.height, one.fx, one.fy, one.cx, one.cy),
                  used, info), odd


def nothing_to_rectify_by(problem: Remark) -> Remark:
    """Return the problem of an image that is to be rectified always, and has no calibration."""
    return Remark(UNRECTIFIABLE, f'{problem.text}: nothing says how to rectify the image, which '
                  "rectify 'always' asks for; give its camera_info, or set rectify to auto")


def impossible(why: str) -> Remark:
    """Return the problem of a distortion that cannot be taken out."""
    return Remark(UNRECTIFIABLE, f'has a distortion {why}: it cannot be taken out, and metres '
                  'would be wrong towards the edges; calibrate again, take a rectified image '
                  '(image_proc, a topic named image_rect), or set rectify to never')


def name_in_doubt(why: str, taken: bool = False) -> Remark:
    """
    Return what is to be said where a topic's name does not tell whether an image is rectified.

    :param why: it matters, as :func:`~.judgement.readings_differ` says.
    :param taken: whether the user has decided that it is.
    """
    says = f'{why}, and a folder of the image topic is named rect*, its last part is not: '
    if taken:
        return Remark('name_in_doubt', f'{says}the image is taken for rectified, of P, since '
                      "rectify is 'never'; is it raw, set rectify to always")
    return Remark(UNRECTIFIABLE, f"{says}set rectify to 'always' if the image is raw, to 'never' "
                  'if it is rectified already; guessed wrongly, metres would be wrong towards the '
                  'edges')
