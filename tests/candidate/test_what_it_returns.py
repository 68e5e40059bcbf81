"""Whatever a user's function returns, the right thing is said of it, and what is right is accepted."""

import pytest

ACCEPTED = {
    "a_part": ("return {'layer0.W_hh': r['layer0.W_hh']}", "Not returned, so not compared: loss, outputs"),
    "lists": ("return {name: array.tolist() for name, array in r.items()}", "1 match"),
    "a_python_number": ("r['loss'] = float(r['loss']); return r", "1 match"),
    "other_byte_order": ("return {name: np.asarray(a).astype('>f8') for name, a in r.items()}", "1 match"),
    "a_subclass_of_dict": ("import collections; return collections.OrderedDict(r)", "1 match"),
    "a_masked_array_without_a_mask": ("r['layer0.W_hh'] = np.ma.array(r['layer0.W_hh']); return r", "1 match"),
    "a_matrix": ("r['layer0.W_hh'] = np.matrix(r['layer0.W_hh']); return r", "1 match"),
    "a_memoryview": ("r['layer0.W_hh'] = memoryview(r['layer0.W_hh']); return r", "1 match"),
    "a_quantity_without_a_dimension": (
        "r['loss'] = r['loss'].view(type('Q', (np.ndarray,), {'unit': ''})); return r",
        "1 match",
    ),
    "rows_in_a_list": ("r['layer0.W_hh'] = list(r['layer0.W_hh']); return r", "1 match"),
}

MISMATCHES = {
    "misspelt": (
        "r['layer0.W_hx'] = r.pop('layer0.W_xh'); return r",
        "returned 'layer0.W_hx', which is no tensor of this case; did you mean layer0.W_xh?",
    ),
    "bare": ("r['dWxh'] = r.pop('layer0.W_xh'); return r", "did you mean layer0.W_xh?"),
    "misspelt_and_misshapen": (
        "r['dW_xh'] = r.pop('layer0.W_xh').T; return r",
        "did you mean layer0.W_xh?; its shape is (5, 3), but should be (3, 5)",
    ),
    "of_another_layout": (
        "r['weight_ih_l0'] = r.pop('layer0.W_xh').T; return r",
        "a name of the layout 'torch'; this implementation has the layout 'split'",
    ),
    "of_another_layer": ("r['layer1.W_hh'] = r['layer0.W_hh']; return r", "'layer1.W_hh', which is no tensor of this"),
    "transposed": ("r['layer0.W_xh'] = r['layer0.W_xh'].T; return r", "should have (3, 5); it is the transpose"),
    "time_first": ("r['outputs'] = r['outputs'].swapaxes(0, 1); return r", "its sizes are in another order"),
    "an_axis_too_many": ("r['layer0.b_h'] = r['layer0.b_h'][None]; return r", "an axis of length 1 is too many"),
    "not_summed": ("r['layer0.b_h'] = np.ones((2, 5)); return r", "it has an axis too many in front"),
    "whole_numbers": ("r['layer0.b_h'] = np.zeros(5, int); return r", "has dtype int64, but should have float64"),
    "wrong": ("r['layer0.b_h'] *= 1.001; return r", "layer0.b_h: 5 of 5 elements outside the tolerance"),
}

ERRORS = {
    "nothing": ("pass", "returned None, not a dictionary {name: gradient}; did you forget `return`?"),
    "a_tuple": ("return r['loss'], r", "returned a tuple, but should return a dictionary"),
    "an_empty_dictionary": ("return {}", "returned an empty dictionary"),
    "none_inside": ("r['layer0.b_h'] = None; return r", "layer0.b_h is None"),
    "text": ("r['layer0.b_h'] = 'small'; return r", "layer0.b_h should be an array of real numbers, but has dtype <U5"),
    "an_object": (
        "r['layer0.b_h'] = object(); return r",
        "layer0.b_h should be an array of real numbers, but is an object",
    ),
    "ragged": (
        "r['layer0.b_h'] = [[1.0], [2.0, 3.0]]; return r",
        "layer0.b_h should be an array of real numbers, but is",
    ),
    "complex": ("r['layer0.b_h'] = r['layer0.b_h'] * 1j; return r", "but has dtype complex128"),
    "not_finite": ("r['layer0.b_h'][2] = np.nan; return r", "1 of 5 elements not finite where the baseline is finite"),
    "a_masked_array": (
        "r['layer0.W_hh'] = np.ma.masked_less(r['layer0.W_hh'], r['layer0.W_hh'].min() + 1e-9); return r",
        "layer0.W_hh is a MaskedArray, 1 of 25 elements masked: a gradient has no masked elements; return zeros where",
    ),
    "masked_rows": (
        "r['layer0.W_hh'] = [np.ma.masked_equal(row, row[0]) for row in r['layer0.W_hh']]; return r",
        "layer0.W_hh[0] is a MaskedArray, 1 of 5 elements masked",
    ),
    "a_masked_number": (
        "r['layer0.b_h'] = [*r['layer0.b_h'].tolist()[:4], np.ma.masked]; return r",
        "layer0.b_h[4] is a MaskedConstant, 1 of 1 elements masked",
    ),
    "what_becomes_a_masked_array": (
        "r['layer0.b_h'] = type('V', (), {'__array__': lambda *_, **__: np.ma.masked_less(np.ones(5), 2)})(); return r",
        "layer0.b_h is a MaskedArray, 5 of 5 elements masked",
    ),
    "a_partial_of_a_masked_array": (
        "m = np.ma.masked_less(r['layer0.b_h'], 9); return {'layer0.b_h': harness.Partial(m, ~m.mask, np.zeros(5))}",
        "layer0.b_h is a MaskedArray, 5 of 5 elements masked",
    ),
    "a_unit": (
        "r['loss'] = r['loss'].view(type('Quantity', (np.ndarray,), {'unit': 'mm'})); return r",
        "loss is a Quantity in the unit mm, which is not compared; return its numbers alone",
    ),
    "a_structured_array": (
        "r['layer0.b_h'] = np.zeros(5, [('a', 'f8')]); return r",
        "layer0.b_h should be an array of real numbers, but has dtype [('a', '<f8')]",
    ),
    "an_array_of_objects": (
        "r['layer0.b_h'] = r['layer0.b_h'].astype(object); return r",
        "layer0.b_h should be an array of real numbers, but is a ndarray of dtype object",
    ),
    "a_list_in_itself": (
        "a = []; a.append(a); r['layer0.b_h'] = a; return r",
        "layer0.b_h is a list that gives no array: RecursionError",
    ),
    "a_generator": ("yield r", "returned a generator, but should return a dictionary"),
}


def source(body):
    return f"@harness.implementation('mine')\ndef mine(problem):\n    r = right(problem)\n    {body}\n"


@pytest.mark.parametrize(("body", "words"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(check, body, words):
    done = check(source(body))
    assert done.status == 0, done.out + done.err
    assert words in done.out
    assert "1 match" in done.out


@pytest.mark.parametrize(("body", "words"), MISMATCHES.values(), ids=MISMATCHES)
def test_mismatches(check, body, words):
    done = check(source(body))
    assert done.status == 1, done.out + done.err
    assert words in done.out


@pytest.mark.parametrize(("body", "words"), ERRORS.values(), ids=ERRORS)
def test_errors(check, body, words):
    done = check(source(body))
    assert done.status == 3, done.out + done.err
    assert words in done.out
    assert "Traceback" not in done.out + done.err


@pytest.mark.parametrize("layout", ["split", "concatenated", "torch", "keras", "tf1"])
def test_every_layout(check, layout):
    done = check(
        f"""\
        from harness.layout import layouts


        @harness.implementation("mine", layout="{layout}")
        def mine(problem):
            layout, structure = layouts()["{layout}"], problem.structure
            split = harness.Problem(
                problem.case,
                layout.to_canonical(problem.weights, structure),
                problem.initial_state,
                problem.inputs,
                problem.targets,
            )
            r = right(split)
            own = {{name: array for name, array in r.items() if name in split.weights}}
            return {{"loss": r["loss"], **layout.gradients_from_canonical(own, structure)}}
        """
    )
    assert done.status == 0, done.out + done.err
    assert f"layout {layout}" in done.out


PARTIAL = """\
@harness.implementation("mine")
def mine(problem):
    r = right(problem)["layer0.W_hh"]
    known = np.zeros(r.shape, bool)
    known[:, 0] = True
    values = np.where(known, r * {factor}, np.random.normal(size=r.shape))  # what is not known means nothing
    return {{"layer0.W_hh": harness.Partial(values, {known}, np.zeros(r.shape))}}
"""


def test_a_tensor_that_is_known_in_part(check):
    done = check(PARTIAL.format(factor=1, known="known"))
    assert done.status == 0, done.out + done.err
    assert "1 match in 1 case; 1 tensor and 5 elements compared" in done.out
    assert "Warnings" not in done.out
    done = check(PARTIAL.format(factor=1.001, known="known"))
    assert done.status == 1, done.out + done.err
    assert "5 of 25 elements compared" in done.out


def test_a_partial_that_cannot_be_used_is_refused_by_name(check):
    done = check(PARTIAL.format(factor=1, known="known[0]"))
    assert done.status == 3
    assert "known of layer0.W_hh has shape (5,), but its values have (5, 5)" in done.out
    assert "Traceback" not in done.out


@pytest.mark.framework
def test_torch_tensors(check):
    pytest.importorskip("torch")
    done = check(
        """\
        import torch


        @harness.implementation("mine")
        def mine(problem):
            w = {name: torch.tensor(array, requires_grad=True) for name, array in problem.weights.items()}
            h = torch.tensor(problem.initial_state["layer0.h0"])
            outputs = []
            for x in torch.tensor(problem.inputs).unbind(1):
                h = torch.tanh(x @ w["layer0.W_xh"] + h @ w["layer0.W_hh"] + w["layer0.b_h"])
                outputs.append(h)
            loss = (torch.stack(outputs, 1) * torch.tensor(problem.upstream)).sum()
            loss.backward()
            return {"loss": loss, "outputs": torch.stack(outputs, 1), **{name: each.grad for name, each in w.items()}}
        """
    )
    assert done.status == 0, done.out + done.err
    assert "1 match" in done.out
    assert "Warnings" not in done.out


PART = "@harness.implementation('mine'{})\ndef mine(problem):\n    r = right(problem)\n    return {}\n"


@pytest.mark.parametrize("how", ["by the option", "by the decorator"])
def test_every_gradient_can_be_required(check, how):
    """A match with other tolerances is none either; loss and outputs may be left out."""
    option, promise = (["--require-all"], "") if how == "by the option" else ([], ", complete=True")
    done = check(PART.format(promise, "{'layer0.W_hh': r['layer0.W_hh'], 'loss': r['loss']}"), *option)
    assert done.status == 1
    for name in ("layer0.W_xh", "layer0.b_h", "layer0.h0", "inputs"):
        assert f"  {name}: is missing\n" in done.out
    assert "Not returned, so not compared: outputs\n" in done.out
    assert "The fault" not in done.out
    assert ("After fixing it, run: harness check --require-all my_rnn.py" in done.out) is bool(option)
    again = check.command("judge", "reports/check", "--rtol", "1e5", "--json")
    assert again.status == 1
    assert "layer0.b_h: is missing" in again.json["results"][0]["reason"]


def test_where_every_gradient_is_required_they_suffice(check):
    done = check(
        PART.format("", "{k: v for k, v in r.items() if k not in ('loss', 'outputs')} | {'inputs': dx(problem, r)}")
        + DX,
        "--require-all",
        "--json",
    )
    assert done.status == 0, done.out
    assert done.json["results"][0]["not_provided"] == ["loss", "outputs"]


DX = """
def dx(problem, r):
    W_xh, W_hh, h = problem.weights["layer0.W_xh"], problem.weights["layer0.W_hh"], r["outputs"]
    found, d_h = np.zeros_like(problem.inputs), 0
    for t in reversed(range(h.shape[1])):
        d_a = (problem.upstream[:, t] + d_h) * (1 - h[:, t] ** 2)
        found[:, t], d_h = d_a @ W_xh.T, d_a @ W_hh.T
    return found
"""


def test_a_match_without_a_gradient_is_told_to_be_none_of_the_backward_pass(check):
    done = check(PART.format("", "{'loss': r['loss'], 'outputs': r['outputs']}"))
    assert done.status == 0
    assert "  ! it returns no gradient, so its backward pass is not checked (on small)" in done.out
