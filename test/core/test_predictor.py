# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The Predictor keeps the contract of Prediction for any image, size, checkpoint and device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
import math
import threading
from typing import Any

from core_bench import CLASSES, INPUT_SIZE, make_metadata, make_network, Stub
from emu_perception.checkpoint import Calibration, save_checkpoint
from emu_perception.errors import CheckpointError, InputError
from emu_perception.maps import maps_of
from emu_perception.networks.multitask import DEPTH, outputs_at, SEGMENTATION
from emu_perception.prediction import Prediction, UNLABELLED
from emu_perception.predictor import Predictor
from emu_perception.scores import scores_of
from emu_perception.uncertainty import label_entropy_confidence
import numpy as np
import pytest
from rounding import FEW, NETWORK, rounding
from segmentation_reference import reference
import torch

MAPS = {'label': np.uint8, 'depth': np.float32, 'segmentation_entropy': np.float32,
        'confidence': np.float32, 'depth_variance': np.float32}
FX = 518.9


@pytest.fixture
def predictor(network, metadata) -> Predictor:
    """Return a predictor on the CPU."""
    return Predictor(network, metadata, device='cpu')


def noise(height: int, width: int) -> np.ndarray:
    """Return an image of noise."""
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def same(a: Prediction, b: Prediction) -> bool:
    """Tell whether two predictions are equal bit for bit."""
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name != 'label')
               for name in MAPS)


def plain(**maps: torch.Tensor) -> Any:
    """Return raw maps that do not depend on the image; each is [C, h, w] at quarter size."""
    return lambda _: {task: raw[None].clone() for task, raw in maps.items()}


# -- the contract -------------------------------------------------------------------------------
@pytest.mark.parametrize('size', [None, (1, 1), (50, 70), INPUT_SIZE, (301, 517)])
@pytest.mark.parametrize('image_size', [(480, 640), (96, 128), (376, 1241), (640, 480), (32, 32),
                                        (33, 47), (45, 270)])
def test_maps_have_type_size_layout_and_range_of_the_contract(predictor, image_size, size):
    prediction = predictor(noise(*image_size), size=size, fx=FX)
    expected = size or image_size
    for name, dtype in MAPS.items():
        values = getattr(prediction, name)
        assert values.dtype == dtype and values.shape == expected, name
        assert values.flags.c_contiguous and values.flags.writeable, name
    assert prediction.size == expected
    assert prediction.label.max() < CLASSES
    assert not np.isneginf(prediction.depth).any()
    assert (prediction.depth[np.isfinite(prediction.depth)] > 0).all()
    assert (prediction.segmentation_entropy >= 0).all()
    most = math.log(CLASSES) + rounding(FEW, 1 + math.log(CLASSES))
    assert (prediction.segmentation_entropy <= most).all()
    assert (prediction.confidence >= 1 / CLASSES - rounding(FEW)).all()
    assert (prediction.confidence <= 1).all()
    assert (prediction.depth_variance > 0).all() and np.isfinite(prediction.depth_variance).all()
    assert np.array_equal(prediction.depth_sigma, np.sqrt(prediction.depth_variance))
    assert isinstance(prediction.scores['segmentation_entropy'], float)
    assert isinstance(prediction.scores['depth_sigma'], float)
    assert prediction.network_size == predictor.network_size(image_size)
    assert prediction.timing_ms.keys() == {'preprocess', 'network', 'postprocess'}


def test_a_prediction_is_one_line_where_python_prints_it(predictor, image):
    text = repr(predictor(image))
    assert text.startswith('Prediction(') and '\n' not in text and 'array' not in text
    assert 'depth_variance' in text and 'relative_depth_sigma=' in text
    assert repr(Prediction({}, {}, (1, 1))) == 'Prediction(no maps; scores: none)'


def test_a_confidence_is_of_its_own_pixel_s_label_at_any_size(predictor):
    """What is blended with a neighbour of another class would be sure of none of both."""
    def pairs(size: tuple[int, int]) -> set[tuple[int, float]]:
        found = predictor(noise(96, 128), size=size, fx=FX)
        return set(zip(found.label.ravel().tolist(), found.confidence.ravel().tolist()))
    there = pairs(predictor.network_size((96, 128)))
    assert pairs((301, 517)) <= there and pairs((50, 61)) <= there


@pytest.mark.parametrize(('tasks', 'has', 'lacks', 'score'), [
    ((SEGMENTATION,), ('label', 'segmentation_entropy', 'confidence'),
     ('depth', 'depth_variance', 'depth_sigma'), 'segmentation_entropy'),
    ((DEPTH,), ('depth', 'depth_variance', 'depth_sigma'),
     ('label', 'segmentation_entropy', 'confidence'), 'depth_sigma')])
def test_a_single_task_leaves_the_others_fields_none(tmp_path, image, tasks, has, lacks,
                                                    score):
    network = make_network(tasks=tasks)
    save_checkpoint(tmp_path / 'a.safetensors', network, make_metadata(network))
    prediction = Predictor.load(tmp_path / 'a.safetensors', 'cpu')(image, fx=FX)
    assert all(getattr(prediction, name) is not None for name in has)
    assert all(getattr(prediction, name) is None for name in lacks)
    assert score in prediction.scores
    assert prediction.scores.keys() == {row.name for row in scores_of(tasks)}
    assert prediction.maps.keys() == {row.name for row in maps_of(tasks)}
    assert prediction.size == (480, 640)


def test_the_whole_pipeline_is_that_of_training(network, metadata):
    # Same normalisation, same order: upsample, then activations; then the calibration.
    metadata = replace(metadata, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    image = noise(*INPUT_SIZE)
    prediction = Predictor(network, metadata, device='cpu')(image)
    x = (torch.from_numpy(image) / 255.0 - torch.tensor(metadata.mean)) / torch.tensor(
        metadata.std)
    with torch.no_grad():
        outputs = outputs_at(network.forward_published(x.permute(2, 0, 1)[None]), INPUT_SIZE)
    calibration = metadata.calibration
    label, entropy, confidence = label_entropy_confidence(outputs.logits / calibration.temperature)
    assert (prediction.label != label[0].numpy()).mean() < 1e-3
    assert np.abs(prediction.segmentation_entropy - entropy[0].numpy()).max() < NETWORK
    assert np.abs(prediction.confidence - confidence[0].numpy()).max() < NETWORK
    known = np.isfinite(prediction.depth)
    assert known.any()
    assert np.abs(prediction.depth - outputs.depth[0].numpy())[known].max() < NETWORK
    variance = outputs.depth_variance[0].numpy() * calibration.variance_scale
    assert np.abs(prediction.depth_variance - variance).max() < NETWORK


def test_the_image_is_read_as_rgb(metadata):
    seen = []

    def look(x: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(x.clone())
        return {DEPTH: torch.ones(1, 2, x.shape[-2] // 4, x.shape[-1] // 4)}
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0] = 255
    Predictor(Stub(look, (DEPTH,)), metadata, device='cpu')(image)
    for channel, value in enumerate((1.0, 0.0, 0.0)):
        expected = (value - metadata.mean[channel]) / metadata.std[channel]
        assert torch.allclose(seen[0][0, channel], torch.tensor(expected), rtol=0,
                              atol=rounding(FEW, 5))
    assert seen[0].shape == (1, 3, *INPUT_SIZE)


@pytest.mark.parametrize('size', [None, (30, 40), INPUT_SIZE, (720, 960)])
def test_the_means_the_flag_is_made_of_do_not_depend_on_the_size_of_the_maps(
        predictor, image, size):
    usual, other = predictor(image, fx=FX), predictor(image, size=size, fx=FX)
    assert other.scores['segmentation_entropy'] == usual.scores['segmentation_entropy']
    assert other.scores['depth_sigma'] == usual.scores['depth_sigma']
    own = predictor(image, size=usual.network_size, fx=FX)
    assert own.segmentation_entropy.mean(dtype=np.float64) == pytest.approx(
        usual.scores['segmentation_entropy'], rel=1e-6)
    assert own.depth_sigma.mean(dtype=np.float64) == pytest.approx(
        usual.scores['depth_sigma'], rel=1e-6)


@pytest.mark.parametrize('size', [INPUT_SIZE, (480, 640), (50, 70)])
def test_depth_beyond_the_range_is_inf_and_no_depth_is_nan_at_every_size(metadata, size):
    values = [5.0, 10.5, 0.0, -3.0, math.nan, math.inf, 10.0, 0.01]
    raw = torch.ones(2, 24, 32)
    for i, value in enumerate(values):
        raw[0, :, 4 * i:4 * i + 4] = value
    predictor = Predictor(Stub(plain(depth=raw), (DEPTH,)), metadata, device='cpu')
    depth = predictor(noise(*INPUT_SIZE), size=size).depth
    centres = [depth[size[0] // 2, int((i + 0.5) * size[1] / len(values))]
               for i in range(len(values))]
    expected = [5.0, math.inf, math.nan, math.nan, math.nan, math.inf, 10.0, 0.01]
    assert np.array_equal(np.float32(centres), np.float32(expected), equal_nan=True)
    # At another size no depth is made up between those of neighbouring pixels.
    own = predictor(noise(*INPUT_SIZE), size=INPUT_SIZE).depth
    assert set(depth[np.isfinite(depth)]) <= set(own[np.isfinite(own)])


def test_labels_of_another_size_are_never_mixed(metadata):
    raw = torch.full((CLASSES, 24, 32), -9.0)
    raw[0, :, :16] = raw[4, :, 16:] = 9.0  # classes 0 and 4: a mean would be 1, 2 or 3
    stub = Stub(plain(segmentation=raw), (SEGMENTATION,))
    label = Predictor(stub, metadata, device='cpu')(noise(480, 640), size=(487, 655)).label
    assert set(np.unique(label)) == {0, 4}


def test_labels_are_255_where_entropy_is_above_the_limit_and_nowhere_else(predictor):
    image = noise(*INPUT_SIZE)
    certain = predictor(image)
    assert UNLABELLED not in certain.label
    limit = float(np.median(certain.segmentation_entropy))
    prediction = predictor(image, unknown_label_entropy=limit)
    above = prediction.segmentation_entropy > limit
    assert 0.4 < above.mean() < 0.6
    assert (prediction.label[above] == UNLABELLED).all()
    assert np.array_equal(prediction.label[~above], certain.label[~above])
    assert prediction.scores['segmentation_entropy'] == certain.scores['segmentation_entropy']


def test_the_limit_can_be_given_on_loading(checkpoint, image):
    prediction = Predictor.load(checkpoint, 'cpu', unknown_label_entropy=1e-6)(image)
    assert (prediction.label == UNLABELLED).all()


def test_temperature_and_variance_scale_are_applied(metadata):
    raw = torch.randn(CLASSES, 24, 32), torch.randn(2, 24, 32)
    results = []
    for calibration in (Calibration(), Calibration(temperature=3.0, variance_scale=4.0)):
        predictor = Predictor(Stub(plain(segmentation=raw[0], depth=raw[1])),
                              replace(metadata, calibration=calibration), device='cpu')
        results.append(predictor(noise(*INPUT_SIZE)))
    plain_one, calibrated = results
    labels, entropy, confidence = reference(raw[0], INPUT_SIZE, 3.0).judged(tuple(
        torch.from_numpy(x) for x in (calibrated.label, calibrated.segmentation_entropy,
                                      calibrated.confidence)))
    assert labels == 0 and entropy <= 1 and confidence <= 1
    assert np.array_equal(calibrated.label, plain_one.label)
    assert np.allclose(calibrated.depth_variance, 4.0 * plain_one.depth_variance)
    assert calibrated.scores['depth_sigma'] == pytest.approx(2.0 * plain_one.scores['depth_sigma'])
    assert np.array_equal(calibrated.depth, plain_one.depth, equal_nan=True)


@pytest.mark.parametrize('task', [SEGMENTATION, DEPTH])
def test_a_network_that_gives_no_numbers_shows_in_the_means(metadata, task):
    raw = {SEGMENTATION: torch.zeros(CLASSES, 24, 32), DEPTH: torch.ones(2, 24, 32)}
    raw[task][:, 3, 4] = math.nan
    prediction = Predictor(Stub(plain(**raw)), metadata, device='cpu')(noise(*INPUT_SIZE))
    means = {SEGMENTATION: prediction.scores['segmentation_entropy'],
             DEPTH: prediction.scores['depth_sigma']}
    assert [name for name, mean in means.items() if not math.isfinite(mean)] == [task]


# -- images --------------------------------------------------------------------------------------
@pytest.mark.parametrize(('bad', 'part'), [
    (np.zeros((480, 640, 3), np.float32), 'float32'),
    (np.zeros((480, 640, 3), np.int8), 'int8'),
    (np.zeros((480, 640), np.uint8), '[480, 640]'),
    (np.zeros((480, 640, 4), np.uint8), '[480, 640, 4]'),
    (np.zeros((480, 640, 1), np.uint8), '[480, 640, 1]'),
    (np.zeros((3, 480, 640), np.uint8), '[3, 480, 640]'),
    (np.zeros((1, 1, 3), np.uint8), '1x1'), (np.zeros((31, 64, 3), np.uint8), '64x31'),
    (np.zeros((0, 0, 3), np.uint8), '0x0'), (np.zeros((10, 10_000, 3), np.uint8), '10000x10'),
    (np.zeros((32, 200, 3), np.uint8), '200x32'), (np.zeros((10_000, 100, 3), np.uint8), 'times'),
    (None, 'NoneType'), ([[1, 2, 3]], 'list'), (torch.zeros(480, 640, 3), 'Tensor')], ids=str)
def test_an_image_that_cannot_be_used_is_one_clear_line(predictor, bad, part):
    with pytest.raises(InputError) as caught:
        predictor(bad)
    assert part in str(caught.value) and 'image is' in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize('view', [
    lambda image: image[:, :, ::-1], lambda image: image[::-1], lambda image: image[:, ::-1],
    lambda image: image[::2, ::2], lambda image: np.asfortranarray(image),
    lambda image: np.broadcast_to(image[:1], image.shape),
    lambda image: np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape)],
    ids=['bgr', 'upside down', 'mirrored', 'every second', 'fortran', 'broadcast', 'bytes'])
@pytest.mark.parametrize('size', [(480, 640), (2 * INPUT_SIZE[0], 2 * INPUT_SIZE[1]), INPUT_SIZE])
@pytest.mark.filterwarnings('error')  # torch warns where it is given a read-only array
def test_views_and_read_only_images_give_what_their_copy_gives(predictor, view, size):
    image = view(noise(*size))
    assert same(predictor(image, fx=FX), predictor(image.copy(), fx=FX))


@pytest.mark.parametrize('size', [(480, 640), INPUT_SIZE])
def test_the_image_is_never_modified(predictor, size):
    image = noise(*size)
    before = image.copy()
    predictor(image, fx=FX)
    assert np.array_equal(image, before)


def test_a_prediction_is_not_overwritten_by_the_next(predictor):
    image = noise(*INPUT_SIZE)
    first = predictor(image, fx=FX)
    kept = {name: getattr(first, name).copy() for name in MAPS}
    predictor(255 - image, fx=FX)
    assert all(np.array_equal(getattr(first, name), values, equal_nan=name != 'label')
               for name, values in kept.items())


@pytest.mark.parametrize('size', [(0, 640), (-1, 5), (480,), (1, 2, 3), 480, 'ab', (4.5, 7.0),
                                  (10**6, 10)], ids=str)
def test_a_size_that_cannot_be_is_one_clear_line(predictor, image, size):
    with pytest.raises(InputError, match='size is'):
        predictor(image, size=size)


@pytest.mark.parametrize(('name', 'value'), [
    ('fx', 0.0), ('fx', -5.0), ('fx', float('nan')), ('fx', '500'), ('fx', True),
    ('fx', np.array([500.0, 500.0])), ('unknown_label_entropy', float('nan')),
    ('unknown_label_entropy', -1.0), ('unknown_label_entropy', 'low'),
    ('unknown_label_entropy', True), ('score_region', (0.5, 1.0, 0.0, 1.0))], ids=str)
def test_an_argument_that_cannot_be_used_is_one_clear_line(predictor, image, name, value):
    with pytest.raises(InputError, match=f'{name} is'):
        predictor(image, **{name: value})


def test_a_size_may_be_numpys_integers(predictor, image):
    assert predictor(image, size=tuple(np.array([30, 40]))).size == (30, 40)


# -- devices and precision -----------------------------------------------------------------------
def test_auto_without_a_gpu_says_so_loudly_and_once(checkpoint, monkeypatch, log):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    predictor = Predictor.load(checkpoint)
    assert predictor.device.type == 'cpu' and predictor.device_description.startswith('cpu')
    assert [record.levelname for record in log.records if 'CPU' in record.message] == ['WARNING']
    assert 'using cpu' in log.text


def test_loading_says_what_it_waits_for_and_what_came_of_it(checkpoint, log):
    Predictor.load(checkpoint, 'cpu', backend='eager')
    said = [record.message for record in log.records if record.levelname == 'INFO']
    assert said[0] == f'loading {checkpoint}' and said[-1].endswith('fp32, eager')


@pytest.mark.parametrize('device', ['tpu', 'cuda:-1', 'cuda:x', 'mps', 'meta', '', 'gpu 0'])
def test_an_unknown_device_is_one_clear_line(checkpoint, device):
    with pytest.raises(InputError, match='device is .*give auto, cpu, cuda or cuda:N') as caught:
        Predictor.load(checkpoint, device)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('device', ['cuda', 'cuda:0', 'cuda:7'])
def test_a_gpu_that_is_not_there_is_one_clear_line_before_the_file_is_read(
        tmp_path, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    with pytest.raises(InputError, match='sees 0 usable CUDA GPUs') as caught:
        Predictor.load(tmp_path / 'absent.safetensors', device)
    assert '\n' not in str(caught.value) and device in str(caught.value)


def test_an_unknown_precision_is_one_clear_line(checkpoint):
    with pytest.raises(InputError, match="precision is 'int8': give auto, fp32, bf16, fp16"):
        Predictor.load(checkpoint, 'cpu', 'int8')


def test_a_file_that_is_no_checkpoint_is_its_own_error(tmp_path):
    with pytest.raises(CheckpointError):
        Predictor.load(tmp_path / 'absent.safetensors', 'cpu')


def assert_close(a: Prediction, b: Prediction) -> None:
    """Hold a prediction of reduced precision against the full one."""
    assert (a.label == b.label).mean() > 0.97
    assert np.abs(a.segmentation_entropy - b.segmentation_entropy).mean() < 0.02
    known = np.isfinite(a.depth) & np.isfinite(b.depth)
    assert (np.isfinite(a.depth) == np.isfinite(b.depth)).mean() > 0.97 and known.any()
    assert np.abs(a.depth - b.depth)[known].mean() < 0.02 * np.abs(a.depth)[known].mean() + 0.01
    assert a.scores == pytest.approx(b.scores, rel=0.01)


def test_bf16_is_close_to_fp32_in_the_same_types(network, metadata, image):
    reduced = Predictor(network, metadata, device='cpu', precision='bf16')(image, fx=FX)
    assert_close(Predictor(network, metadata, device='cpu')(image, fx=FX), reduced)
    assert all(getattr(reduced, name).dtype == dtype for name, dtype in MAPS.items())


def test_auto_precision_is_that_of_the_calibration(network, metadata):
    assert Predictor(network, metadata, device='cpu').precision == 'fp32'


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='NOT TESTED: there is no CUDA GPU')
@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
def test_a_gpu_gives_what_the_cpu_gives(network, metadata, image, precision, log):
    gpu = Predictor(network, metadata, device='auto', precision=precision)
    assert gpu.device.type == 'cuda' and torch.cuda.get_device_name() in log.text
    on_gpu = gpu(image, fx=FX)
    assert_close(Predictor(network, metadata, device='cpu')(image, fx=FX), on_gpu)
    assert all(getattr(on_gpu, name).dtype == dtype for name, dtype in MAPS.items())
    # The network given is not moved.
    assert all(parameter.device.type == 'cpu' for parameter in network.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='NOT TESTED: there is no CUDA GPU')
def test_closing_frees_the_gpus_memory(metadata, image):
    before = torch.cuda.memory_allocated()
    # Backend 'cuda' runs at once, after which cuBLAS keeps a workspace: test_cuda_device.py.
    predictor = Predictor(make_network('resnet18'), metadata, device='cuda', backend='eager')
    assert torch.cuda.memory_allocated() > before
    predictor.close()
    assert torch.cuda.memory_allocated() <= before + 1_000_000


# -- life ----------------------------------------------------------------------------------------
def test_a_closed_predictor_says_so(predictor, image):
    predictor.close()
    predictor.close()
    with pytest.raises(InputError, match='closed'):
        predictor(image)


def test_closing_during_a_call_lets_the_call_finish(metadata):
    entered, closed = threading.Event(), threading.Event()

    def slow(x: torch.Tensor) -> dict[str, torch.Tensor]:
        entered.set()
        assert closed.wait(20.0)
        return {DEPTH: torch.ones(1, 2, x.shape[-2] // 4, x.shape[-1] // 4)}
    predictor = Predictor(Stub(slow, (DEPTH,)), metadata, device='cpu')
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(predictor, noise(*INPUT_SIZE))
        assert entered.wait(20.0)
        predictor.close()
        closed.set()
        assert answer.result(20.0).depth.shape == INPUT_SIZE


@pytest.mark.parametrize('step', ['network_size', 'prepare', 'network', 'maps'])
def test_closing_at_any_moment_of_a_call_lets_the_call_finish(predictor, monkeypatch, step):
    place = predictor if step == 'network_size' else predictor._backend
    original = getattr(place, step)

    def close_first(*arguments: Any) -> Any:
        predictor.close()
        return original(*arguments)
    monkeypatch.setattr(place, step, close_first)
    assert predictor(noise(*INPUT_SIZE), fx=FX).size == INPUT_SIZE


def test_warming_up_neither_warns_nor_silences_the_warning(predictor, log):
    predictor.warm_up()
    predictor.warm_up((480, 640), runs=1)
    assert 'NOT scaled' not in log.text
    predictor(noise(480, 640))
    assert 'NOT scaled' in log.text


def test_the_network_given_can_go_on_training(metadata):
    network = make_network().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Predictor(network, metadata, device='cpu')(noise(*INPUT_SIZE))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    loss = sum(x.square().mean() for x in network(torch.randn(2, 3, 64, 64)).values())
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.encoder.parameters())


def test_a_call_leaves_torchs_modes_as_they_were(predictor, image):
    predictor(image)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled('cpu')


@pytest.mark.slow
def test_two_predictors_in_two_threads_do_not_disturb_each_other(metadata):
    torch.manual_seed(7)
    predictors = [Predictor(make_network(), metadata, device='cpu'),
                  Predictor(make_network('resnet18'), metadata, device='cpu', precision='bf16')]
    images = [np.random.default_rng(i).integers(0, 256, (120, 160, 3), np.uint8)
              for i in range(8)]
    expected = [[predictor(image, fx=FX) for image in images] for predictor in predictors]
    barrier = threading.Barrier(4)

    def run(index: int) -> list[Prediction]:
        barrier.wait()
        return [predictors[index](image, fx=FX) for image in images]
    with ThreadPoolExecutor(4) as pool:
        jobs = [(index, pool.submit(run, index)) for index in (0, 1, 0, 1)]
        for index, job in jobs:
            for found, right in zip(job.result(), expected[index], strict=True):
                assert same(found, right)


def test_the_same_image_gives_the_same_maps(predictor, image):
    assert same(predictor(image, fx=FX), predictor(image, fx=FX))


def test_missing_gpu_is_warned_of_once_and_not_for_each_model(monkeypatch, caplog):
    from emu_perception import devices
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    devices._say_that_there_is_no_gpu.cache_clear()
    with caplog.at_level('WARNING', logger=devices.LOGGER.name):
        for _ in range(3):
            assert devices.resolved_device('auto').type == 'cpu'
    assert [record.message for record in caplog.records].count(
        "device 'auto': no usable CUDA GPU found, running on the CPU, which is much slower") == 1
