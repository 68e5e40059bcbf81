"""Cases made concrete: seeds, specs, labels, covered steps, losses."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.problem import build


def problem(**fields):
    defaults = {"name": "p", "file": "p", "sizes": Sizes(batch=2, time=3, input=4, hidden=5)}
    return build(ValidCase(**{**defaults, **fields}), None)


RANDOM = {"uniform": (-1.0, 1.0), "seed": 3}


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others():
    one, same, other = (problem(inputs={"normal": 1.0, "seed": seed}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.inputs, same.inputs)
    assert (one.inputs != other.inputs).all()


def test_no_two_tensors_share_their_numbers():
    given = problem(layers=3, weights=RANDOM, inputs=RANDOM, initial_state=RANDOM, targets=RANDOM)
    tensors = [*given.weights.values(), *given.initial_state.values(), given.inputs, given.targets]
    numbers = np.concatenate([tensor.ravel() for tensor in tensors])
    assert len(np.unique(numbers)) == len(numbers)


def test_float32_is_float64_rounded():
    double, single = (problem(weights=RANDOM, inputs={"normal": 1.0}, dtype=dtype) for dtype in ("float64", "float32"))
    assert single.inputs.dtype == np.float32
    np.testing.assert_array_equal(single.inputs, double.inputs.astype(np.float32))
    np.testing.assert_array_equal(single.weights["layer0.W_hh"], double.weights["layer0.W_hh"].astype(np.float32))


def test_a_layer_more_changes_nothing_below():
    two, three = (problem(layers=layers, weights=RANDOM, initial_state=RANDOM) for layers in (2, 3))
    for name, tensor in {**two.weights, **two.initial_state}.items():
        np.testing.assert_array_equal(tensor, {**three.weights, **three.initial_state}[name])


def test_the_numbers_of_a_seed_do_not_change():
    """A report of today can be compared with one of next year."""
    inputs = problem(inputs={"normal": 1.0, "seed": 0}).inputs
    assert inputs[0, 0].tolist() == [0.5558001502536156, 0.12996196507878374, 0.856299820740885, -0.06024909948679242]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("zeros", np.zeros((2, 3, 4))),
        ("ones", np.ones((2, 3, 4))),
        ({"fill": -2.5}, np.full((2, 3, 4), -2.5)),
        ({"values": np.arange(24.0).reshape(2, 3, 4).tolist()}, np.arange(24.0).reshape(2, 3, 4)),
        ({"one_hot": [[0, 1, 2], [3, 3, 0]]}, np.eye(4)[[[0, 1, 2], [3, 3, 0]]]),
    ],
    ids=["zeros", "ones", "fill", "values", "one_hot"],
)
def test_specs(spec, expected):
    inputs = problem(inputs=spec).inputs
    np.testing.assert_array_equal(inputs, expected)
    assert inputs.dtype == np.float64
    assert inputs.flags.c_contiguous


def test_an_array_from_a_file(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.savez(tmp_path / "x.npz", W=values)
    given = problem(file=str(tmp_path / "case.yaml"), inputs={"file": "x.npz", "key": "W"}, dtype="float32")
    np.testing.assert_array_equal(given.inputs, values.astype(np.float32))


def test_uniform_stays_within_its_bounds_and_normal_has_its_deviation():
    sizes = Sizes(batch=20, time=20, input=20, hidden=1)
    uniform = problem(sizes=sizes, inputs={"uniform": (2.0, 3.0)}).inputs
    assert uniform.min() >= 2
    assert uniform.max() < 3
    normal = problem(sizes=sizes, inputs={"normal": 0.1}).inputs
    assert abs(normal.std() - 0.1) < 0.005
    assert abs(normal.mean()) < 0.005


def test_labels_are_whole_numbers_in_their_range():
    loss = Loss(kind="softmax_cross_entropy")
    given = problem(sizes=Sizes(20, 20, 4, 5), loss=loss, targets={"uniform": (0, 5)})
    assert given.targets.shape == (20, 20)
    assert given.targets.dtype == np.int64
    assert set(np.unique(given.targets)) == {0, 1, 2, 3, 4}
    assert problem(loss=loss, targets={"fill": 3.0}).targets.tolist() == [[3] * 3] * 2


@pytest.mark.parametrize(
    ("steps", "covered"), [("all", [1, 1, 1]), ((0,), [1, 0, 0]), ((-1, 0), [1, 0, 1])], ids=["all", "first", "ends"]
)
def test_covered_steps(steps, covered):
    assert problem(loss=Loss(steps=steps)).covered.tolist() == [[bool(each) for each in covered]] * 2


def test_weights_by_name_and_by_default():
    given = problem(
        weights={"layer0.W_hh": {"fill": 2.0}, "default": "ones"}, initial_state={"layer0.h0": {"fill": 3.0}}
    )
    assert (given.weights["layer0.W_hh"] == 2).all()
    assert (given.weights["layer0.b_h"] == 1).all()
    assert (given.initial_state["layer0.h0"] == 3).all()
    assert not problem().initial_state["layer0.h0"].any()


def test_native_weights_are_asked_for():
    asked = []

    def native(framework, seed, structure, dtype):
        asked.append((framework, seed, dtype))
        return {name: np.zeros(shape) for name, shape in structure.weights.items()}

    case = ValidCase(name="p", file="p", sizes=Sizes(2, 3, 4, 5), weights={"from": "keras", "seed": 7}, dtype="float32")
    assert build(case, native).weights.keys() == case.structure.weights.keys()
    assert asked == [("keras", 7, "float32")]


def test_the_loss_by_hand():
    given = problem(sizes=Sizes(1, 2, 1, 1), loss=Loss(steps=(1,)), targets={"values": [[[9.0], [1.0]]]})
    loss, d_outputs = given.loss(np.array([[[5.0], [4.0]]]))
    assert loss == 9.0
    assert d_outputs.tolist() == [[[0.0], [6.0]]]


def test_nobody_can_write_to_a_problem_but_to_a_copy():
    given = problem(layers=2, cell="lstm")
    arrays = [*given.weights.values(), *given.initial_state.values(), given.inputs, given.targets]
    assert not any(array.flags.writeable for array in arrays)
    copy = given.copy()
    copied = [*copy.weights.values(), *copy.initial_state.values(), copy.inputs, copy.targets]
    assert all(array.flags.writeable for array in copied)
