# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a calibration can be used for an image: the one place that judges it."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from emu_perception.cameras.calibration import CameraInfo, info_of_view, RegionOfInterest
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.lens import distorts, FISHEYES, model_of
from emu_perception.cameras.pinhole import k_of, p_of, Pinhole
from emu_perception.cameras.plausibility import (
    implausible,
    implausible_view,
    Remark,
    suspicious,
)
from emu_perception.cameras.rectified_camera import (
    impossible,
    name_in_doubt,
    rectified_camera,
    UNRECTIFIABLE,
)
from emu_perception.errors import InputError

# Rectification zooms by a tenth or two, of a wide lens by a third: beyond it one of the two
# matrices is of another resolution.
_LARGEST_ZOOM = 1.5
# What K and P may be apart by rounding, as shares of the focal lengths.
_SAME_CAMERA = 0.01
# Of a calibration of the binned image, shares of its sides.
_CENTRED = 0.1


@dataclass(frozen=True)
class Judgement:
    """
    What became of a calibration.

    :ivar camera: of the image; None where the calibration cannot be used for it.
    :ivar problem: why not.
    :ivar warnings: what is odd about one that is used all the same.
    """

    camera: Camera | None
    problem: Remark | None = None
    warnings: tuple[Remark, ...] = ()

    def needed(self) -> Camera:
        """
        Return the camera where one cannot go on without.

        :raises InputError: the problem.
        """
        if self.camera is None:
            raise InputError(self.problem.text if self.problem else 'no calibration')
        return self.camera


def judge(info: CameraInfo, width: int, height: int, *, rectified: bool, rectify: bool = False,
          in_doubt: bool = False, what: str = 'camera_info') -> Judgement:
    """
    Judge a calibration for an image.

    Only the matrix in use is judged, after binning and region of interest. Two mistakes whose
    meaning is plain are mended and said: the identity in place of a matrix, and a calibration of
    the binned image.

    :param width, height: of the image, pixels.
    :param rectified: whether the image is a rectified one (see :func:`~.topics.looks_rectified`).
    :param rectify: whether an image that its lens distorts is to be rectified: the camera is then
        that of the rectified image, and has its ``rectification``.
    :param in_doubt: whether the name of its topic says both (see :func:`~.topics.reading`): where
        that matters the image has no camera then, or is warned of where it is taken for rectified.
    :param what: what the calibration is called in the texts.
    """
    doubt = readings_differ(info) if in_doubt else ''
    if doubt and not rectified:
        found = Judgement(None, name_in_doubt(doubt))
    elif rectify and distorts(info):
        found = _undistorted(info, width, height)
    else:
        found = _judged(info, width, height, rectified)
        if doubt:
            found = replace(found, warnings=(*found.warnings, name_in_doubt(doubt, taken=True)))
    return replace(found, problem=found.problem and found.problem.about(what),
                   warnings=tuple(warning.about(what) for warning in found.warnings))


def judge_view(width: int, height: int, hfov_deg: float, what: str) -> Judgement:
    """
    Judge a horizontal field of view that somebody states of an image.

    :param what: what it is called in the texts.
    """
    info, what = info_of_view(width, height, hfov_deg), f'{what} {hfov_deg:g}'
    found = implausible_view(k_of(info), width, height)
    if found:  # In the words of who gave degrees, not a focal length.
        return Judgement(None, Remark('field_of_view', (
            f'{what} is not plausible: it makes the longer side of {width}x{height} {found}: give '
            "the image's width in degrees")))
    return judge(info, width, height, rectified=True, what=what)


def readings_differ(info: CameraInfo) -> str:
    """Return in words why an image is not the same taken for raw and for rectified; or ''."""
    if distorts(info):
        return 'has distortion'
    k, p = k_of(info), p_of(info)
    if k.is_set and p.is_set and (
            max(abs(k.fx - p.fx) / k.fx, abs(k.fy - p.fy) / k.fy) > _SAME_CAMERA
            or max(abs(k.cx - p.cx) / k.fx, abs(k.cy - p.cy) / k.fy) > _SAME_CAMERA):
        return f'has no distortion, but {k} in K and {p} in P'
    return ''


def _judged(info: CameraInfo, width: int, height: int, rectified: bool) -> Judgement:
    info, warnings = _without_identity(info)
    # P holds the camera of the rectified image, which rectification may have zoomed; K the one of
    # the image as the sensor gives it.
    names = ('P', 'K') if rectified else ('K', 'P')
    wanted, other = (k_of(info) if name == 'K' else p_of(info) for name in names)
    used, name = (wanted, names[0]) if wanted.is_set or not other.is_set else (other, names[1])
    problem = _uncalibrated(info, used, name)
    if problem is not None:
        return Judgement(None, problem)
    if used is not wanted:
        warnings.append(Remark('empty_matrix', f'has an empty {names[0]}: {name} ({used}) is used;'
                               f' have the driver set {names[0]}'))
    elif other.is_set and not 1 / _LARGEST_ZOOM < used.fx / other.fx < _LARGEST_ZOOM:
        warnings.append(Remark('contradiction', f'has fx {used.fx:g} in {name} and {other.fx:g} '
                               f'in {names[1]}, which rectification does not explain: {name} is '
                               'used; calibrate again'))
    problem = _of_other_size(info, width, height)
    if problem is not None:
        return Judgement(None, problem)
    info, pinhole, more = _in_image(info, used, width, height)
    told = name if wanted != other else ''
    problem = implausible(pinhole, info, width, height, told)
    if problem is not None:
        return Judgement(None, problem)
    warnings += more + suspicious(pinhole, info, width, height, told)
    distorted = not rectified and distorts(info)
    if distorted:
        warnings.append(_distortion(info))
    camera = Camera(width, height, pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy, distorted, info)
    return Judgement(camera, warnings=tuple(warnings))


def _undistorted(info: CameraInfo, width: int, height: int) -> Judgement:
    """Judge the calibration of an image that is to be rectified: K by itself, then the whole."""
    if k_of(info).is_identity:  # What P has in its place is no lens's.
        return Judgement(None, impossible('without a K, which is the identity'))
    found = _judged(info, width, height, rectified=False)
    if found.camera is None:
        problem = found.problem
        if problem is None or problem.code == 'not_calibrated':
            return found
        # A guess of its focal length would leave the distortion that is known of.
        return Judgement(None, replace(problem, code=UNRECTIFIABLE))
    # Of a fisheye a rectified image may be zoomed by any factor.
    mended = {'distorted'} | ({'contradiction'} if model_of(info) in FISHEYES else set())
    warnings = [warning for warning in found.warnings if warning.code not in mended]
    camera, odd = rectified_camera(
        found.camera, p_believed=all(warning.code != 'contradiction' for warning in warnings))
    if isinstance(camera, Remark):
        return Judgement(None, camera)
    return Judgement(camera, warnings=(*warnings, *odd))


def _without_identity(info: CameraInfo) -> tuple[CameraInfo, list[Remark]]:
    """Put the other matrix in the place of an identity, which some drivers and simulators send."""
    k, p = k_of(info), p_of(info)
    if k.is_identity and p.is_set:
        info = replace(info, k=(p.fx, 0.0, p.cx, 0.0, p.fy, p.cy, 0.0, 0.0, 1.0))
        return info, [Remark('identity', f'has the identity for K: P ({p}) is used in its place; '
                             'have the driver set K')]
    if p.is_identity and k.is_set:
        info = replace(info, p=(k.fx, 0.0, k.cx, 0.0, 0.0, k.fy, k.cy, 0.0, 0.0, 0.0, 1.0, 0.0))
        return info, [Remark('identity', f'has the identity for P: K ({k}) is used in its place; '
                             'have the driver set P')]
    return info, []


def _uncalibrated(info: CameraInfo, used: Pinhole, name: str) -> Remark | None:
    remedy = 'calibrate the camera (ROS: camera_calibration) and have its driver load the result'
    # Every number: what is not used here is handed on in the outgoing camera_info.
    for field, values in (('K', info.k), ('P', info.p), ('D', info.d), ('R', info.r)):
        odd = [value for value in values if not math.isfinite(value)]
        if odd:
            return Remark('not_calibrated', f'is not calibrated: {field} holds {odd[0]}: {remedy}')
    if not used.is_set:
        return Remark('not_calibrated', f'is not calibrated: {name} has {used}: {remedy}')
    if not (info.width > 0 and info.height > 0):
        return Remark('not_calibrated', f'is not calibrated: its size is {info.width}x'
                      f'{info.height}: {remedy}')
    return None


def _of_other_size(info: CameraInfo, width: int, height: int) -> Remark | None:
    binning_x, binning_y = info.binning
    part = info.roi.width or info.width, info.roi.height or info.height
    beyond = info.roi.x_offset + part[0], info.roi.y_offset + part[1]
    if beyond[0] > info.width or beyond[1] > info.height:
        # Whose the principal point is, the sensor's or the part's, cannot be told any more.
        return Remark('region', f'has a region (roi) of {part[0]}x{part[1]} at x '
                      f'{info.roi.x_offset}, y {info.roi.y_offset}, which does not lie in its '
                      f"{info.width}x{info.height}: have the driver give the whole sensor's size "
                      'and calibration, or no roi')
    found = part[0] // binning_x, part[1] // binning_y
    if found == (width, height):
        return None
    origin = ''
    if found != (info.width, info.height):
        origin = (f' (of {info.width}x{info.height}: region {part[0]}x{part[1]}, binning '
                  f'{binning_x}x{binning_y})')
    if found != part and (width, height) in (part, (info.width, info.height)):
        remedy = 'have the driver say the size of the whole sensor, or no binning'
    elif abs(found[0] * height - found[1] * width) <= max(width, height):
        remedy = 'resize camera_info with the image (image_proc), or calibrate at this size'
    else:
        remedy = 'take the camera_info of this image, or have the driver set its roi'
    return Remark('other_size', f'is for {found[0]}x{found[1]}{origin}, the image is '
                  f'{width}x{height}: {remedy}')


def _in_image(info: CameraInfo, used: Pinhole, width: int, height: int
              ) -> tuple[CameraInfo, Pinhole, list[Remark]]:
    """Return calibration and camera at the pixels of the image, and what was mended for it."""
    pinhole = used.in_image(info)
    whole = info.roi == RegionOfInterest(do_rectify=info.roi.do_rectify)
    if info.binning == (1, 1) or not whole or not (
            used.off_center(width, height) < min(_CENTRED, pinhole.off_center(width, height))):
        return info, pinhole, []
    mended = replace(info, width=width, height=height, binning_x=0, binning_y=0)
    return mended, used, [Remark(
        'calibrated_binned', f'says binning {info.binning[0]}x{info.binning[1]} of {info.width}x'
        f'{info.height}, but its {used} are of the binned image, {width}x{height}, and are used '
        'as they are: have the driver scale its calibration to the whole sensor')]


def _distortion(info: CameraInfo) -> Remark:
    coefficients = ', '.join(f'{value:.4g}' for value in info.d)
    return Remark('distorted', f'has distortion ({info.distortion_model}, D = {coefficients}) and '
                  'the image is not rectified: depth and points are off towards the edges; set '
                  'rectify to auto, or take a rectified image (image_proc, a topic named '
                  'image_rect)')
