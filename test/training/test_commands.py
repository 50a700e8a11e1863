# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The commands as a user says them, on a synthetic data set: what they leave, skip and refuse."""

from __future__ import annotations

from dataclasses import replace
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from emu_perception.checkpoint import (
    Calibration,
    load_checkpoint,
    read_metadata,
    save_checkpoint,
)
from emu_perception.commands.read_first import read_first
from emu_perception.errors import EmuError, InputError
from emu_perception.predictor import Predictor
from emu_perception.scores import fitted_scores, SCORES
import numpy as np
import pytest
from synthetic_data import FIELDS, members
import torch
from training import calibrate, compare, distill, ensemble, evaluate, export, precision
from training.arguments.distill import student_overrides
from training.arguments.parsers import recipe_parser
from training.command_line import check_writable
from training.data.dataset_folder import DatasetFolder, training_focal
from training.evaluation.measuring import file_hash
from training.fit import main as fit_main
from training.methods.ensemble import Ensemble
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe, Recipe
from training.reporting.model_card import model_card
from training.runs.folder_lock import locked
from training.runs.members import _reason, MemberRun
from training.studies import cameras
import yaml


@pytest.fixture
def recipe(synthetic, tmp_path):
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(synthetic),
                                    'output': str(tmp_path / 'out')}))
    return path


# -- ensemble -----------------------------------------------------------------------------------
def test_members_share_the_encoder_start_and_differ_in_all_else(trained):
    assert len(members(trained)) == 2
    one, two = (load_checkpoint(path) for path in members(trained))
    assert one[1].provenance['recipe']['seed'] == 0 and two[1].provenance['recipe']['seed'] == 1
    head = 'heads.segmentation.classifier.weight'
    assert not torch.equal(one[0].state_dict()[head], two[0].state_dict()[head])


def test_finished_members_are_skipped_and_another_recipe_is_refused(trained, capsys):
    times = [path.stat().st_mtime_ns for path in members(trained)]
    command = ['--recipe', str(trained / 'recipe.yaml'), '--members', '2', '--no-progress']
    assert ensemble.main(command) == 0
    assert times == [path.stat().st_mtime_ns for path in members(trained)]
    assert ensemble.main([*command, 'batch_size=2']) == 1
    message = capsys.readouterr().err
    assert "'batch_size' is 4, now it is 2" in message and 'name=' in message
    # Of a section the field, not all of both sections.
    assert ensemble.main([*command, 'network.head_dropout=0.2']) == 1
    assert "'network.head_dropout' is 0.1, now it is 0.2: choose" in capsys.readouterr().err


@pytest.mark.slow
def test_one_member_that_fails_is_named_and_does_not_take_the_others_along(
        recipe, tmp_path, capsys):
    broken = tmp_path / 'out/synthetic/member_00'
    broken.mkdir(parents=True)
    (broken / 'state').write_text('a file where the run needs a folder')
    code = ensemble.main(['--recipe', str(recipe), '--members', '2', '--no-progress'])
    assert code == 1 and 'member_00' in capsys.readouterr().err
    assert (tmp_path / 'out/synthetic/member_01/best.safetensors').exists()


def test_what_ended_a_member_is_of_this_start(tmp_path):
    """A kill writes nothing: it was blamed on the error of an earlier start, in the same log."""
    recipe = replace(Recipe(), name='run', output=str(tmp_path))
    recipe.folder.mkdir()
    (recipe.folder / 'log.txt').write_bytes(b'error: of the start before\n')
    process = subprocess.Popen([sys.executable, '-c', 'import os; os.kill(os.getpid(), 9)'])
    with (recipe.folder / 'log.txt').open('ab') as log:
        run = MemberRun(0, recipe, process, log, log.seek(0, os.SEEK_END))
        assert 'ended with code -9: no output' in _reason(run, process.wait())
        log.write(b'INFO on\nerror: of this one\n')
        log.flush()
        assert 'ended with code 1: error: of this one' in _reason(run, 1)


@pytest.mark.parametrize(('arguments', 'environment', 'expected'), [
    ([], {}, [0, 1, 2, 3, 4]), (['--only', '0,3'], {}, [0, 3]), (['--shard', '2/2'], {}, [1, 3]),
    ([], {'SLURM_PROCID': '1', 'SLURM_NTASKS': '3'}, [1, 4]),
    ([], {'RANK': '0', 'WORLD_SIZE': '2'}, [0, 2, 4]),
    ([], {'SLURM_ARRAY_TASK_ID': '7', 'SLURM_ARRAY_TASK_MIN': '5', 'SLURM_ARRAY_TASK_COUNT': '4'},
     [2]),
    ([], {'SLURM_ARRAY_TASK_ID': '8', 'SLURM_ARRAY_TASK_COUNT': '5', 'SLURM_ARRAY_TASK_STEP': '2'},
     [4]), (['--only', '3,0,3'], {}, [3, 0])])
def test_members_are_spread_over_shards_and_jobs(monkeypatch, arguments, environment, expected):
    monkeypatch.setattr(os, 'environ', environment)
    parser = recipe_parser('ensemble', '')
    for name in ('--only', '--shard'):
        parser.add_argument(name)
    parser.add_argument('--members', type=int, default=5)
    options = parser.parse_args(['--recipe', 'x', *arguments])
    assert ensemble.chosen_members(options) == expected


def test_two_processes_never_train_into_one_folder(recipe, capsys):
    loaded = load_recipe(recipe)
    loaded.folder.mkdir(parents=True)
    with locked(loaded.folder):
        assert fit_main(['--recipe', str(recipe), '--no-progress']) == 1
    assert 'another process is training here' in capsys.readouterr().err


def test_two_jobs_of_several_processes_never_train_into_one_folder(tmp_path):
    """They shared the lock that the processes of one job share."""
    with locked(tmp_path, first=True), locked(tmp_path, first=False):
        with pytest.raises(RecipeError, match='another process is training here'):
            locked(tmp_path, first=True)
    locked(tmp_path, first=True).close()


def test_a_teacher_below_home_is_looked_for_there(recipe, synthetic, tmp_path, monkeypatch):
    """A shell leaves the ~ of --teacher=~/runs/de, and the recipe reads it."""
    monkeypatch.setenv('HOME', str(tmp_path))
    words = ['--recipe', str(recipe), '--teacher=~/de']
    with pytest.raises(EmuError, match='~/de: no such checkpoint'):
        read_first('training.arguments.distill', words)
    (tmp_path / 'de').mkdir()
    read_first('training.arguments.distill', words)
    assert load_recipe(recipe, student_overrides(['~/de'])).emuformer.teacher == (
        str(tmp_path / 'de'),)


def test_teachers_of_any_name_reach_the_recipe(recipe):
    teachers = ["o'brien's/a b", 'back\\slash', '"quoted": x', 'caf\udce9', 'default']
    found = load_recipe(recipe, student_overrides(teachers))
    assert found.emuformer.teacher == (*teachers,)


@pytest.mark.slow
# -- distill ------------------------------------------------------------------------------------
def test_a_student_starts_from_the_first_member_and_names_its_teacher(trained):
    code = distill.main(['--recipe', str(trained / 'recipe.yaml'), '--teacher',
                         str(trained / 'synthetic'), '--no-progress',
                         'optimizer.learning_rate=1e-12', 'optimizer.head_factor=1'])
    assert code == 0
    network, metadata = load_checkpoint(trained / 'synthetic_emuformer/last.safetensors')
    first = load_checkpoint(members(trained)[0])[0].state_dict()
    assert torch.allclose(network.state_dict()['encoder.model.conv1.0.weight'],
                          first['encoder.model.conv1.0.weight'], atol=1e-6)
    assert [t['name'] for t in metadata.provenance['teacher']] == [
        'synthetic/member_00', 'synthetic/member_01']
    assert metadata.provenance['recipe']['method'] == 'emuformer'


@pytest.mark.slow
def test_a_robots_recording_without_labels_and_with_another_camera_can_teach_a_student(
        synthetic, trained, recipe, tmp_path):
    """No classes, fx twice as large: labels come from the teacher, depths start twice as far."""
    document = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    del document['classes']
    for name in ('fx', 'fy'):
        document['intrinsics'][name] *= 2
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump(document))
    teacher = members(trained)[0]
    code = distill.main(['--recipe', str(recipe), '--teacher', str(teacher), '--no-progress',
                         'optimizer.learning_rate=1e-12', 'optimizer.head_factor=1', 'name=mine'])
    assert code == 0
    path = tmp_path / 'out/mine/last.safetensors'
    assert read_metadata(path).classes == ('wall', 'floor', 'box')
    image = DatasetFolder(synthetic).image('000')
    before, after = (Predictor.load(p, 'cpu')(image, fx=220.0) for p in (teacher, path))
    assert np.allclose(after.depth, before.depth, rtol=0.05)


def test_a_student_without_a_teacher_says_what_to_give(recipe, capsys):
    assert fit_main(['--recipe', str(recipe), '--no-progress', 'method=emuformer']) == 1
    assert 'emuformer.teacher' in capsys.readouterr().err
    assert distill.main(['--recipe', str(recipe), '--teacher', '/no/such', '--no-progress']) == 1
    assert '/no/such' in capsys.readouterr().err


# -- evaluate -----------------------------------------------------------------------------------
def evaluated(trained, tmp_path, *arguments):
    out = tmp_path / 'result.json'
    code = evaluate.main(['--data', str(trained / 'data'), '--json', str(out), '--device', 'cpu',
                          '--no-progress', *arguments])
    assert code == 0
    return json.loads(out.read_text())


def test_the_json_has_the_keys_that_others_rely_on(trained, tmp_path):
    result = evaluated(trained, tmp_path, '--checkpoint', str(trained / 'synthetic'), '--trivial')
    assert result['method'] == 'ensemble' and result['samples'] == 2 and result['images'] == 2
    assert {'miou', 'ece', 'nll', 'brier', 'p_accurate_given_certain',
            'p_uncertain_given_inaccurate', 'pavpu', 'ause', 'auroc'} <= set(
                result['segmentation'])
    assert {'rmse', 'abs_rel', 'delta1', 'delta2', 'delta3', 'nll',
            'p_accurate_given_certain'} <= set(result['depth'])
    assert result['void'] == 'exclude' and result['threshold'] == 'mean'
    assert len(result['policies']) == 4 and result['trivial']['majority_class'] == 'floor'
    example = DatasetFolder(trained / 'data').example('004')
    assert result['depth']['pixels'] == 2 * int((example.depth > 0).sum()), 'not at full size'


def test_an_ensemble_of_one_twice_is_that_one(trained, tmp_path):
    path = str(members(trained)[0])
    one = evaluated(trained, tmp_path, '--checkpoint', path)
    two = evaluated(trained, tmp_path, '--checkpoint', path, path)
    assert one['method'] == 'baseline' and two['method'] == 'ensemble'
    for task in ('segmentation', 'depth'):
        assert two[task] == pytest.approx(one[task], rel=1e-3)


def test_void_and_threshold_choose_the_main_figures_from_the_same_counts(trained, tmp_path):
    path = str(members(trained)[0])
    strict = evaluated(trained, tmp_path, '--checkpoint', path, '--void', 'as_inaccurate',
                       '--threshold', 'median')
    plain = evaluated(trained, tmp_path, '--checkpoint', path)
    row = next(row for row in plain['policies'] if row['void'] == 'as_inaccurate'
               and row['threshold'] == 'median')
    for name, value in row['segmentation'].items():
        assert strict['segmentation'][name] == value
    assert strict['segmentation']['pavpu'] != plain['segmentation']['pavpu']


def test_only_the_truth_inside_the_crop_counts(trained, tmp_path):
    result = evaluated(trained, tmp_path, '--checkpoint', str(members(trained)[0]), '--crop',
                       '10:60,20:100')
    assert result['segmentation']['pixels'] == result['depth']['pixels'] == 2 * 50 * 80


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--checkpoint', '/no/such.safetensors'], ['/no/such.safetensors']),
    (['--checkpoint', '{}', '--crop', '60:10,0:5'], ["'60:10,0:5'", '45:471']),
    (['--checkpoint', '{}', '--crop', '45:471,41:601'], ["'004' is 128x96", '--crop']),
    (['--checkpoint', '{}', '--split', 'holiday'], ['holiday.txt']),
    (['--checkpoint', '{}', '--method', 'sub_ensemble'], ['1 heads']),
    (['--checkpoint', '{}', '--device', 'cuda:9'], ['cuda:9'])])
def test_what_cannot_be_measured_is_one_line(trained, capsys, arguments, words):
    path = str(members(trained)[0])
    code = evaluate.main(['--data', str(trained / 'data'), '--no-progress',
                          *[part.format(path) for part in arguments]])
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith('error')]
    assert code == 1 and len(lines) == 1 and all(word in lines[0] for word in words), lines


def test_what_the_trivial_baselines_lack_is_said_before_all_is_measured(
        trained, tmp_path, capsys, monkeypatch):
    data = tmp_path / 'data'
    shutil.copytree(trained / 'data', data)
    (data / 'train.txt').unlink()
    monkeypatch.setattr(evaluate, 'Ensemble', None)  # Nothing is loaded.
    assert evaluate.main(['--checkpoint', str(members(trained)[0]), '--data', str(data),
                          '--trivial', '--no-progress']) == 1
    assert 'train.txt: cannot be read' in capsys.readouterr().err


def test_a_member_without_a_checkpoint_is_not_left_out_unsaid(trained, tmp_path, caplog):
    shutil.copytree(trained / 'synthetic', tmp_path / 'de')
    assert Ensemble([tmp_path / 'de']).samples == 2 and not caplog.text
    (tmp_path / 'de/member_00/best.safetensors').unlink()
    assert Ensemble([tmp_path / 'de']).samples == 1
    assert '1 of 2 members have no best.safetensors (member_00)' in caplog.text


@pytest.mark.parametrize('command', [precision, calibrate, cameras])
def test_labels_of_other_classes_are_measured_by_nothing(trained, tmp_path, capsys, command):
    data = tmp_path / 'data'
    shutil.copytree(trained / 'data', data)
    fields = yaml.safe_load((data / 'dataset.yaml').read_text())
    (data / 'dataset.yaml').write_text(yaml.safe_dump(
        {**fields, 'classes': ['floor', 'wall', 'box'], 'name': 'other'}))
    assert command.main(['--checkpoint', str(members(trained)[0]), '--data', str(data),
                         '--device', 'cpu', '--no-progress']) == 1
    assert 'its 3 classes are not the 3 of' in capsys.readouterr().err


# -- ship ---------------------------------------------------------------------------------------
def test_what_is_shipped_is_written_over_nothing_it_is_made_of(trained, tmp_path, capsys):
    source, metrics = tmp_path / 'a.safetensors', tmp_path / 'm.json'
    shutil.copy(members(trained)[0], source)
    metrics.write_text(json.dumps({'sha256': [file_hash(source)]}))
    before = source.read_bytes()
    (tmp_path / 'shut').mkdir()
    (tmp_path / 'shut/a.md').mkdir()  # Where the card is to go.
    (tmp_path / 'README.md').write_text('# Mine\n')
    for out, words in ((source, 'that is what it is made of'), (metrics, 'it is made of'),
                       (tmp_path / 'b.md', 'there its card goes'),
                       (tmp_path / 'shut/a.safetensors', 'a.md'),
                       (tmp_path / 'README.safetensors', f'would replace {tmp_path}/README.md')):
        assert export.main(['--checkpoint', str(source), '--metrics', str(metrics), '--out',
                            str(out)]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith('error: ') and words in error, error
    assert source.read_bytes() == before
    assert (tmp_path / 'README.md').read_text() == '# Mine\n'


def test_what_cannot_be_written_is_said_and_no_folder_is_made_to_find_out(tmp_path):
    """A command that was refused for something else left the folders of its results."""
    check_writable(tmp_path / 'new/a.json')
    (tmp_path / 'file').touch()
    check_writable(tmp_path / 'file')
    there = f'{tmp_path}/file is a file, not a folder; give another name'
    for name, words in (('file/a.json', there), ('.', 'is a folder; give'),
                        ('file/new/a.json', there)):
        with pytest.raises(InputError, match=f'{tmp_path / name}: {words}'):
            check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.slow
# -- calibrate ----------------------------------------------------------------------------------
def test_calibration_mends_what_was_spoiled_and_is_written_into_the_checkpoint(trained, tmp_path):
    """A variance a hundred times too small is scaled back; NLL falls; thresholds are renewed."""
    source = tmp_path / 'spoiled.safetensors'
    network, metadata = load_checkpoint(members(trained)[0])
    with torch.no_grad():
        network.head('depth').classifier.bias[1] -= 4.0
        network.head('segmentation').classifier.weight.mul_(10)
    save_checkpoint(source, network, metadata)
    out = tmp_path / 'calibrated.safetensors'
    result = tmp_path / 'calibration.json'
    code = calibrate.main(['--checkpoint', str(source), '--data', str(trained / 'data'), '--out',
                           str(out), '--json', str(result), '--device', 'cpu', '--no-progress',
                           '--figure', str(tmp_path / 'promises.png')])
    assert code == 0
    values = json.loads(result.read_text())
    assert (tmp_path / 'promises.png').stat().st_size > 1000
    for task in ('segmentation', 'depth'):
        assert values['after'][task]['nll'] < values['before'][task]['nll']
    assert abs(values['after']['depth']['coverage_90'] - 0.9) < abs(
        values['before']['depth']['coverage_90'] - 0.9)
    calibration = read_metadata(out).calibration
    assert calibration.scores.keys() == {row.name for row in fitted_scores(metadata.tasks)}
    for name, fitted in calibration.scores.items():
        assert fitted.threshold == values[f'risk_{SCORES[name].tag}']
        assert fitted.threshold != metadata.calibration.scores[name].threshold
        assert fitted.fitted_on == {'data_set': 'synthetic', 'split': 'val', 'images': 2}
    assert calibration.temperature == pytest.approx(values['temperature']) != 1.0
    assert calibration.variance_scale > 2
    assert calibration.promises.keys() == values['promises'].keys() == {
        'depth_interval', 'label_set_size'}
    # Two neighbouring frames are one room, which promises nothing above a half.
    assert all(promise.groups == 1 and not any(one.promised for one in promise.levels)
               for promise in calibration.promises.values())
    assert {promise.focal for promise in calibration.promises.values()} == {
        training_focal(DatasetFolder(trained / 'data'))}
    image = DatasetFolder(trained / 'data').image('004')
    before, after = (Predictor.load(p, 'cpu')(image, fx=110.0) for p in (source, out))
    assert np.allclose(after.depth_variance, before.depth_variance * calibration.variance_scale,
                       rtol=1e-4)
    assert read_metadata(source).calibration.temperature == 1.0, 'the source was changed'
    again = tmp_path / 'again.json'
    assert calibrate.main(['--checkpoint', str(out), '--data', str(trained / 'data'), '--json',
                           str(again), '--device', 'cpu', '--no-progress']) == 0
    assert json.loads(again.read_text())['temperature'] == pytest.approx(values['temperature'])


@pytest.mark.slow
def test_scores_are_fitted_judged_jointly_kept_by_export_and_dropped_by_the_next_calibration(
        trained, tmp_path, capsys, caplog):
    out, result = tmp_path / 'fitted.safetensors', tmp_path / 'calibration.json'
    arguments = ['--data', str(trained / 'data'), '--device', 'cpu', '--no-progress']
    assert calibrate.main(['--checkpoint', str(members(trained)[0]), '--fit-scores', '--out',
                           str(out), '--json', str(result), *arguments]) == 0
    metadata, values = read_metadata(out), json.loads(result.read_text())
    rows = fitted_scores(metadata.tasks, metadata.statistics)
    assert {'unfamiliarity', 'predicted_failure'} < {row.name for row in rows}
    assert metadata.calibration.scores.keys() == {row.name for row in rows}
    for row in rows:
        assert metadata.calibration.thresholds[row.name] == values[f'risk_{row.tag}'] > 0
    figures = values['fitted_scores']
    images = len(DatasetFolder(trained / 'data').stems('train'))
    assert figures['fitted_to']['images'] == images
    assert figures['fitted_to']['pictures'] == 8 * images
    assert values['false_alarms'] == figures['false_alarms']
    assert f'fitted to {8 * images} pictures of {images} images' in capsys.readouterr().out
    image = DatasetFolder(trained / 'data').image('004')
    prediction = Predictor.load(out, 'cpu', backend='eager')(image, fx=110.0)
    assert tuple(prediction.scores) == metadata.score_names

    shipped, figures = tmp_path / 'shipped.safetensors', tmp_path / 'figures.json'
    assert evaluate.main(['--checkpoint', str(out), '--json', str(figures), *arguments]) == 0
    assert export.main(['--checkpoint', str(out), '--metrics', str(figures), '--out',
                        str(shipped)]) == 0
    kept = read_metadata(shipped).statistics
    assert kept.keys() == metadata.statistics.keys()
    assert all(np.array_equal(kept[name], metadata.statistics[name]) for name in kept)

    assert calibrate.main(['--checkpoint', str(out), *arguments]) == 0
    assert not read_metadata(out).statistics and 'give --fit-scores' in caplog.text
    assert 'unfamiliarity' not in read_metadata(out).calibration.scores


@pytest.mark.slow
def test_few_images_do_not_replace_thresholds_of_many(trained, tmp_path, caplog):
    network, metadata = load_checkpoint(members(trained)[0])
    many = {name: replace(fitted, threshold=9.0, fitted_on={'images': 700})
            for name, fitted in metadata.calibration.scores.items()}
    source, out = tmp_path / 'many.safetensors', tmp_path / 'out.safetensors'
    save_checkpoint(source, network, replace(metadata, calibration=Calibration(scores=many)))
    command = ['--checkpoint', str(source), '--data', str(trained / 'data'), '--out', str(out),
               '--device', 'cpu', '--no-progress']
    assert calibrate.main(command) == 0
    calibration = read_metadata(out).calibration
    assert 'keeps its earlier thresholds of ' in caplog.text
    assert 'by which its metres would be worth nothing' in caplog.text  # 9 times the depth.
    assert calibration.thresholds['relative_depth_sigma'] == pytest.approx(
        9.0 * calibration.variance_scale ** 0.5)
    assert {fitted.fitted_on['images'] for fitted in calibration.scores.values()} == {700}
    assert calibrate.main([*command, '--new-thresholds']) == 0
    assert all(fitted.threshold < 9.0 and fitted.fitted_on['images'] == 2
               for fitted in read_metadata(out).calibration.scores.values())


def test_without_labels_the_temperature_stays_and_the_variance_is_fitted(
        synthetic, trained, tmp_path, caplog):
    document = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    del document['classes']
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump(document))
    network, metadata = load_checkpoint(members(trained)[0])
    source = tmp_path / 'warm.safetensors'
    save_checkpoint(source, network, replace(metadata, calibration=Calibration(temperature=1.7)))
    assert calibrate.main(['--checkpoint', str(source), '--data', str(synthetic), '--device',
                           'cpu', '--no-progress']) == 0
    calibration = read_metadata(source).calibration
    assert calibration.temperature == 1.7 and calibration.variance_scale != 1.0
    assert 'no truth for segmentation' in caplog.text


@pytest.mark.slow
def test_a_fold_is_measured_with_the_constants_of_the_others(trained, tmp_path, monkeypatch,
                                                             caplog):
    """The constants of the first fold are those of a calibration on the second alone."""
    def calibrated(data: Path) -> dict:
        out, result = tmp_path / 'out.safetensors', tmp_path / 'out.json'
        assert calibrate.main(['--checkpoint', str(members(trained)[0]), '--data', str(data),
                               '--out', str(out), '--json', str(result), '--device', 'cpu',
                               '--no-progress']) == 0
        return json.loads(result.read_text())

    data = tmp_path / 'data'
    shutil.copytree(trained / 'data', data)
    first, second = (data / 'val.txt').read_text().split()[:2]
    (data / 'val.txt').write_text(f'{second}\n')
    alone = calibrated(data)
    assert 'are one run' in caplog.text and alone['folds'] == 1
    (data / 'val.txt').write_text(f'{first}\n{second}\n')
    monkeypatch.setattr(calibrate, 'frame_runs', lambda stems: [[stem] for stem in stems])
    both = calibrated(data)
    assert both['folds'] == both['runs'] == 2
    # Fewer pixels of each image are looked at where there are two.
    assert both['of_folds'][0]['temperature'] == pytest.approx(alone['temperature'], rel=0.02)
    assert both['of_folds'][0]['variance_scale'] == pytest.approx(alone['variance_scale'])
    assert both['of_folds'][0]['variance_scale'] != both['of_folds'][1]['variance_scale']


@pytest.mark.slow
def test_trained_on_all_it_takes_the_constants_of_its_twin(recipe, synthetic, tmp_path, capsys,
                                                           caplog):
    """Nothing is left to choose or to calibrate by, so nothing is: its twin's constants serve."""
    def command(name: str, *more: str) -> tuple[int, str]:
        code = calibrate.main(['--checkpoint', str(tmp_path / 'out' / name / 'best.safetensors'),
                               '--device', 'cpu', '--no-progress', *more])
        return code, capsys.readouterr().err
    twin, everything = (tmp_path / 'out' / name / 'best.safetensors' for name in ('twin', 'all'))
    for name, part in (('twin', 'train'), ('all', 'train+val')):
        assert fit_main(['--recipe', str(recipe), '--no-progress', f'name={name}',
                         f'train_on={part}']) == 0
    metadata = read_metadata(everything)
    assert (metadata.provenance['split'], metadata.provenance['images']) == ('train+val', 6)
    assert metadata.metrics == {} and metadata.calibration == Calibration()
    assert {SCORES[name].task for name in read_metadata(twin).calibration.scores} == {
        'segmentation', 'depth'}
    for options, word in ((['--data', str(synthetic)], 'was trained on'), ([], 'give --data'),
                          (['--constants-of', str(twin)], 'is not calibrated'),
                          (['--constants-of', str(everything)], 'is not calibrated')):
        code, said = command('all', *options)
        assert code == 1 and word in said, (options, said)
    assert command('twin', '--data', str(synthetic))[0] == 0
    assert command('all', '--constants-of', str(twin))[0] == 0
    metadata = read_metadata(everything)
    assert metadata.calibration == read_metadata(twin).calibration
    assert metadata.calibration.temperature != 1.0
    assert metadata.provenance['calibration']['twin'] == 'twin'
    assert 'for its twin `twin`' in model_card(metadata, everything)
    code, said = command('all', '--constants-of', str(twin), '--folds', '3')
    assert code == 1 and '--folds' in said
    # Shipped with the figures of the twin: its own would be of what it has learned.
    figures = tmp_path / 'figures.json'
    for path, expected, words in ((everything, 1, ['flatter', 'was trained on']),
                                  (twin, 0, ['Measured on its twin `twin`'])):
        assert evaluate.main(['--checkpoint', str(path), '--data', str(synthetic), '--json',
                              str(figures), '--device', 'cpu', '--no-progress']) == 0
        assert json.loads(figures.read_text())['seen_in_training'] == bool(expected)
        code = export.main(['--checkpoint', str(everything), '--metrics', str(figures), '--out',
                            str(tmp_path / 'shipped.safetensors')])
        said = caplog.text + capsys.readouterr().err
        if not expected:
            said = (tmp_path / 'shipped.md').read_text()
        assert code == expected and all(word in said for word in words), said
    for name, override, word in (('wide', 'network.head_dim=8', 'architecture'),
                                 ('long', 'batch_size=3', "field 'batch_size'")):
        assert fit_main(['--recipe', str(recipe), '--no-progress', f'name={name}',
                         'train_on=train+val', override]) == 0
        code, said = command(name, '--constants-of', str(twin))
        assert code == 1 and word in said and 'no twins' in said
    # What it starts from, or learns from, has seen val.
    for field in ('network.initial_weights', 'emuformer.teacher'):
        more = ['method=emuformer'] if 'teacher' in field else []
        assert fit_main(['--recipe', str(recipe), '--no-progress', 'name=from', *more,
                         f'{field}={[str(everything)] if more else everything}']) == 1
        said = capsys.readouterr().err
        assert f"'{field}'" in said and 'trained on val' in said


@pytest.mark.parametrize('option', ['--folds=0', '--percentile=0'])
def test_a_calibration_option_out_of_range_is_one_line(trained, capsys, option):
    assert calibrate.main(['--checkpoint', str(members(trained)[0]), '--data',
                           str(trained / 'data'), option]) == 1
    assert option.split('=')[0] in capsys.readouterr().err


def test_fit_reads_no_stem_that_is_kept_apart(recipe, synthetic, capsys):
    (synthetic / 'test.txt').write_text('002\n')
    assert fit_main(['--recipe', str(recipe), '--no-progress']) == 1
    assert "test.txt: '002' is in train.txt" in capsys.readouterr().err


def test_training_images_are_not_for_calibration(trained, capsys):
    assert calibrate.main(['--checkpoint', str(members(trained)[0]), '--data',
                           str(trained / 'data'), '--split', 'train']) == 1
    assert "'train'" in capsys.readouterr().err


# -- several processes --------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize('method', ['baseline', 'sub_ensemble'])
def test_two_processes_train_together_and_count_every_validation_image_once(
        recipe, tmp_path, method):
    """Gloo on the CPU: the same code path as DDP on GPUs."""
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, '-m', 'training.fit', '--recipe', str(recipe), '--no-progress',
         'devices=2', 'epochs=2', f'method={method}', 'sub_ensemble.heads=2'],
        capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    path = tmp_path / 'out/synthetic/last.safetensors'
    alone = evaluate.evaluate(evaluate.Ensemble([path]), DatasetFolder(
        yaml.safe_load(recipe.read_text())['data']), ['004', '005'], progress=False)
    # What the two measured in the last epoch is what one process measures now.
    metrics = read_metadata(path).metrics
    assert metrics['val/pixels'] == alone['segmentation']['pixels'], 'an image counted twice'
    assert metrics['val/miou'] == pytest.approx(alone['segmentation']['miou'], abs=1e-4)
    assert metrics['val/rmse'] == pytest.approx(alone['depth']['rmse'], rel=1e-4)


@pytest.mark.slow
def test_sigterm_ends_two_processes_and_one_of_them_says_what_is_kept(recipe, tmp_path):
    """As a scheduler sends it: to all processes of the group."""
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    log = tmp_path / 'log'
    with log.open('w') as stream:
        process = subprocess.Popen(
            [sys.executable, '-m', 'training.fit', '--recipe', str(recipe), '--no-progress',
             'devices=2', 'epochs=1000'], env=environment, stdout=stream,
            stderr=subprocess.STDOUT, start_new_session=True)
        try:
            kept = tmp_path / 'out/synthetic/state/last.ckpt'
            while process.poll() is None and not kept.exists():
                time.sleep(0.1)
            os.killpg(process.pid, signal.SIGTERM)
            code, said = process.wait(120), log.read_text()
            assert code == 143, said[-2000:]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert log.read_text().count('stopped by SIGTERM') == 1
    assert 'of 1000 epochs are kept in' in log.read_text()


# -- compare ------------------------------------------------------------------------------------
def test_a_row_that_cannot_be_trained_is_found_before_any_is(recipe, synthetic, capsys,
                                                             monkeypatch):
    """Dropout forbids what keeps features: it was said after the baselines' hours."""
    monkeypatch.setattr(compare, 'train_all', None)
    command = ['--recipe', str(recipe), '--members', '2', '--no-progress']
    frozen = ['finetune.encoder=none', 'cache_features=float16', 'augmentation.scale=[1, 1]']
    assert compare.main([*command, *frozen]) == 1
    assert "row 'mc_dropout': field 'method' is 'mc_dropout'" in capsys.readouterr().err
    # All rows are measured on val: it was said, as 'seen', of figures that took a night.
    assert compare.main([*command, 'train_on=train+val']) == 1
    assert "field 'train_on' is train+val, but every row is measured on val" in (
        capsys.readouterr().err)
    # Members of no folds cannot answer for a cross-fitted student: it comes after all of them.
    assert compare.main([*command, 'emuformer.cross_fit=true']) == 1
    assert "row 'emuformer': field 'emuformer.cross_fit' is true" in capsys.readouterr().err
    (synthetic / 'depth').rename(synthetic / 'depths')
    assert compare.main([*command, '--only', 'segformer,depthformer',
                         'network.tasks=[segmentation]']) == 1
    error = capsys.readouterr().err
    assert "row 'depthformer': " in error and '--only' in error, error


def test_a_measurement_is_of_the_very_files(trained, tmp_path):
    """Trained anew and stopped before it was measured, a row had the figures of before."""
    path, result = tmp_path / 'best.safetensors', tmp_path / 'row.json'
    shutil.copy(members(trained)[0], path)
    row = compare.Row('row', 'Row', [], [path])
    document = {'checkpoints': [str(path)], 'sha256': [file_hash(path)], 'data_sha256': 'a'}
    result.write_text(json.dumps(document))
    assert compare._measured(result, row, 'a')
    assert not compare._measured(result, row, 'b'), 'another val.txt, or another truth'
    shutil.copy(members(trained)[1], path)
    assert not compare._measured(result, row, 'a')
    for text in ('[]', '{"sha256": 3, "data_sha256": "a"}', 'null', '{'):
        result.write_text(text)
        assert not compare._measured(result, row, 'a')


@pytest.mark.slow
def test_one_command_trains_measures_and_makes_the_table_and_does_nothing_twice(
        recipe, synthetic, tmp_path, capsys):
    command = ['--recipe', str(recipe), '--members', '2', '--only', 'ensemble,emuformer',
               '--no-progress']
    assert compare.main(command) == 0
    results = tmp_path / 'out/synthetic/results'
    table = (results / 'table.md').read_text()
    assert 'Deep ensemble (2)' in table and 'EMUFormer' in table
    assert '</html>' in (results / 'report.html').read_text()
    student = json.loads((results / 'emuformer.json').read_text())
    assert student['method'] == 'emuformer' and student['samples'] == 1
    times = {path: path.stat().st_mtime_ns for path in [
        *tmp_path.glob('out/synthetic/**/best.safetensors'), *results.glob('*.json')]}
    assert len(times) == 5
    assert compare.main(command) == 0
    assert times == {path: path.stat().st_mtime_ns for path in times}, 'done again'
    # An edited val.txt is another measurement of the same networks.
    val = synthetic / 'val.txt'
    val.write_text('\n'.join(val.read_text().split()[1:]))
    assert compare.main(command) == 0
    changed = [path.name for path in times if path.stat().st_mtime_ns != times[path]]
    assert sorted(changed) == ['emuformer.json', 'ensemble.json']
    left = [json.loads((results / name).read_text())['images'] for name in changed]
    assert left == [student['images'] - 1] * 2
