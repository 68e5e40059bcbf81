"""Each operation hands back the transpose of what it pushes forward, for one gradient and for many at once."""

import operator

import numpy as np
import pytest

from harness.derive.namespaces import UNARY
from harness.derive.namespaces.numpy import xp
from harness.derive.operations import Carry
from harness.derive.tape import Tape

R = 3


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def index(key):
    return operator.itemgetter(key)


CALLS = {
    "add": (operator.add, (2, 3), (2, 3)),
    "add, broadcast in front": (operator.add, (2, 3), (3,)),
    "add, broadcast along an axis": (operator.add, (2, 1), (2, 3)),
    "add, both broadcast": (operator.add, (2, 1), (1, 3)),
    "add to a scalar": (operator.add, (2, 3), ()),
    "subtract": (operator.sub, (3,), (2, 3)),
    "multiply": (operator.mul, (2, 3), (2, 3)),
    "multiply, broadcast": (operator.mul, (4, 1, 3), (2, 1)),
    "divide": (lambda a, b: a / (b * b + 1), (2, 3), (3,)),
    "negate": (operator.neg, (2, 3)),
    "a number from the left": (lambda a: 1 - a, (2, 3)),
    "power": (lambda a: a**3, (2, 3)),
    "tanh": (lambda a: xp.tanh(a), (2, 3)),
    "silu": (lambda a: xp.silu(a), (2, 3)),
    "maximum": (lambda a, b: xp.maximum(a, b), (2, 3), (3,)),
    "where": (lambda a, b: xp.where(a > 0, a, b), (2, 3), (2, 3)),
    "where, broadcast": (lambda a, b: xp.where(a > 0, a, b), (2, 3), (1, 3)),
    "matmul": (operator.matmul, (2, 3), (3, 4)),
    "matmul of a vector from the left": (operator.matmul, (3,), (3, 4)),
    "matmul of a vector from the right": (operator.matmul, (2, 3), (3,)),
    "matmul of two vectors": (operator.matmul, (3,), (3,)),
    "matmul of stacks": (operator.matmul, (5, 2, 3), (5, 3, 4)),
    "matmul of a stack and a matrix": (operator.matmul, (5, 2, 3), (3, 4)),
    "matmul of a vector and a stack": (operator.matmul, (3,), (5, 3, 4)),
    "einsum": (lambda a, b: xp.einsum("bk,kv->bv", a, b), (2, 3), (3, 4)),
    "einsum, outer": (lambda a, b: xp.einsum("bk,bv->bkv", a, b), (2, 3), (2, 4)),
    "einsum, transposed": (lambda a: xp.einsum("ij->ji", a), (2, 3)),
    "einsum, a letter summed out of one operand": (lambda a, b: xp.einsum("bkj,bv->bv", a, b), (2, 3, 4), (2, 5)),
    "einsum, all summed out": (lambda a, b: xp.einsum("bk,j->", a, b), (2, 3), (4,)),
    "einsum of three": (lambda a, b, c: xp.einsum("bk,bv,kv->b", a, b, c), (2, 3), (2, 4), (3, 4)),
    "einsum with an ellipsis": (lambda a, b: xp.einsum("...k,kv->...v", a, b), (5, 2, 3), (3, 4)),
    "einsum with two ellipses": (lambda a, b: xp.einsum("...k,...k->...", a, b), (5, 2, 3), (2, 3)),
    "index": (index((slice(None), slice(1, 3))), (2, 4)),
    "index, one element": (index((0, -1)), (2, 4)),
    "index, new axis": (index((slice(None), None, Ellipsis)), (2, 4)),
    "index, every other in reverse": (index((slice(None), slice(None, None, -2))), (2, 5)),
    "concat": (lambda a, b: xp.concat([a, b], axis=-1), (2, 3), (2, 1)),
    "concat of one twice": (lambda a, b: xp.concat([a, b, a], axis=0), (2, 3), (1, 3)),
    "stack": (lambda a, b: xp.stack([a, b], axis=1), (2, 3), (2, 3)),
    "reshape": (lambda a: xp.reshape(a, (3, 4)), (2, 6)),
    "permute_dims": (lambda a: xp.permute_dims(a, (2, 0, 1)), (2, 3, 4)),
    "sum": (lambda a: xp.sum(a), (2, 3)),
    "sum over an axis": (lambda a: xp.sum(a, axis=0), (2, 3, 4)),
    "sum over two, kept": (lambda a: xp.sum(a, axis=(0, -1), keepdims=True), (2, 3, 4)),
    "mean": (lambda a: xp.mean(a, axis=-1), (2, 3)),
    "mean, kept": (lambda a: xp.mean(a, axis=1, keepdims=True), (2, 3, 4)),
}


def recorded(call, *shapes):
    """Return the nodes of a tape on which a call ran."""
    tape = Tape(__file__, np.dtype(np.float64))
    leaves = [tape.leaf(normal(*shape, seed=i), f"v{i}") for i, shape in enumerate(shapes)]
    value = call(*leaves)
    assert value is tape.nodes[-1]
    return [node for node in tape.nodes if node.operation is not None]


@pytest.mark.parametrize("call", CALLS)
def test_pull_is_the_transpose_of_push(call):
    for node in recorded(*CALLS[call]):
        values = [parent.value for parent in node.parents]
        for k, value in enumerate(values):
            tangent, g = normal(*value.shape, seed=7), normal(*node.shape, seed=8)
            pushed = node.operation.push(values, k, tangent[None])
            pulled = node.operation.pull(values, k, g)
            assert pulled.shape == value.shape
            np.testing.assert_allclose((pushed[0] * g).sum(), (pulled * tangent).sum(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("call", CALLS)
def test_many_at_once_are_each_by_itself(call):
    for node in recorded(*CALLS[call]):
        values = [parent.value for parent in node.parents]
        for k, value in enumerate(values):
            tangents, gs = normal(R, *value.shape, seed=7), normal(R, *node.shape, seed=8)
            pushed, pulled = node.operation.push(values, k, tangents), node.operation.pull(values, k, gs)
            for r in range(R):
                one = node.operation.push(values, k, tangents[r : r + 1])[0]
                np.testing.assert_allclose(np.broadcast_to(pushed[r], node.shape), one, rtol=1e-12, atol=1e-13)
                alone = node.operation.pull(values, k, gs[r])
                np.testing.assert_allclose(pulled[r], alone, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("call", CALLS)
def test_push_is_the_difference_of_the_values(call):
    for node in recorded(*CALLS[call]):
        values = [parent.value for parent in node.parents]
        for k, value in enumerate(values):
            tangent, h = normal(*value.shape, seed=7), 1e-6
            pushed = node.operation.push(values, k, tangent[None])[0]
            there, here = (
                node.operation.apply(
                    [v + s * h * tangent if j == k else v for j, v in enumerate(values)], [False] * len(values)
                )
                for s in (1, -1)
            )
            np.testing.assert_allclose(pushed, (there - here) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("call", CALLS)
def test_apply_takes_an_axis_in_front_of_some_operands(call):
    for node in recorded(*CALLS[call]):
        if isinstance(node.operation, Carry) or node.operation.name == "where":  # a choice is made for one value
            continue
        values = [parent.value for parent in node.parents]
        for k, value in enumerate(values):
            many = normal(R, *value.shape, seed=9)
            leads = [j == k for j in range(len(values))]
            found = node.operation.apply([many if lead else v for lead, v in zip(leads, values, strict=True)], leads)
            for r in range(R):
                alone = node.operation.apply(
                    [many[r] if lead else v for lead, v in zip(leads, values, strict=True)], [False] * len(values)
                )
                np.testing.assert_allclose(found[r], alone, rtol=1e-12, atol=1e-13)


def test_a_gradient_of_elements_that_occur_twice_is_summed():
    (node,) = recorded(lambda a: xp.concat([a, a], axis=0), (2,))
    values = [parent.value for parent in node.parents]
    total = sum(node.operation.pull(values, k, np.array([1.0, 2.0, 4.0, 8.0])) for k in range(2))
    np.testing.assert_array_equal(total, [5, 10])


def test_one_place_that_is_read_twice_gets_both_gradients():
    tape = Tape(__file__, np.dtype(np.float64))
    v = tape.leaf(normal(3), "v")
    twice = tape.gather("doubled", (), lambda a: np.stack([a, a[::-1]]), v)
    g = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    np.testing.assert_array_equal(twice.operation.pull([v.value], 0, g), [33, 18, 12])
    np.testing.assert_array_equal(
        twice.operation.pull([v.value], 0, np.stack([g, 2 * g])), [[33, 18, 12], [66, 36, 24]]
    )


@pytest.mark.parametrize(
    "name", ["exp", "log", "log1p", "expm1", "tanh", "sqrt", "sin", "cos", "sigmoid", "softplus", "silu", "relu", "abs"]
)
def test_slopes_are_right_far_from_zero_too(name):
    for at in (1e-3, 0.5, 3.0, 40.0, *((-1e-3, -0.5, -3.0, -40.0) if name not in ("log", "log1p", "sqrt") else ())):
        tape = Tape(__file__, np.dtype(np.float64))
        leaf = tape.leaf(np.array([at]), "v")
        node = getattr(xp, name)(leaf)
        slope = _gradient(tape, node, leaf)
        h = 1e-6 * abs(at)
        there, here = (getattr(xp, name)(np.array([at + s * h])) for s in (1, -1))
        np.testing.assert_allclose(slope, (there - here) / (2 * h), rtol=1e-6, atol=1e-7)


def _gradient(tape, node, leaf):
    adjoint = {node.index: np.ones(node.shape)}
    for each in reversed(tape.nodes):
        for k, parent in enumerate(each.parents if each.index in adjoint else ()):
            handed = each.operation.pull([p.value for p in each.parents], k, adjoint[each.index])
            adjoint[parent.index] = adjoint.get(parent.index, 0) + handed
    return adjoint[leaf.index]


SMOOTH = [name for name in UNARY if name not in ("relu", "abs", "silu")]  # silu is a product of two operations


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_slope_is_the_derivative_where_a_spelling_has_a_seam(name, dtype):
    at = np.array([0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 30.0, -30.0], dtype)
    if name in ("log", "log1p", "sqrt"):
        at = np.abs(at) + dtype(0.25)
    node = getattr(xp, name)(Tape("", np.dtype(dtype)).leaf(at, "a"))
    found = node.operation.pull([at], 0, np.ones_like(at))
    wide, h = at.astype(np.longdouble), np.longdouble(1e-6)
    expected = (getattr(xp, name)(wide + h) - getattr(xp, name)(wide - h)) / (2 * h)
    assert found == pytest.approx(np.asarray(expected, np.float64), rel=1e-5, abs=1e-6)
