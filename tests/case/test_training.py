"""The field ``training``: what it accepts, and that each mistake is located with what should stand there."""

import pytest

from harness.case import CaseFile, read

SGD = "optimizer: {sgd: {lr: 0.1}}"

RIGHT = [
    "none",
    f"{{steps: 3, {SGD}}}",
    "{steps: 3, optimizer: {adam: {lr: 1}}, clip_value: 0.5, clip_norm: 1, halve_lr_when_loss_rises: true}",
    f"{{steps: 3, {SGD}, batch: 2, carry_state: true, frozen: [layer0.b_h]}}",
]

WRONG = {
    "nonne": "training: 'nonne' should be none or {steps: 10, optimizer: {sgd: {lr: 0.01}}}; did you mean 'none'?",
    "{steps: 3}": "training.optimizer: this key is missing; such as optimizer: {sgd: {lr: 0.01}}",
    f"{{{SGD}}}": "training.steps: this key is missing; such as training: {steps: 10, ",
    f"{{steps: 0, {SGD}}}": "training.steps: 0 should be 1 or more",
    "{steps: 3, optimizer: {sgd: {lr: 0}}}": "training.optimizer.sgd.lr: 0 should be above 0",
    "{steps: 3, optimizer: {sgd: {lr: fast}}}": "training.optimizer.sgd.lr: 'fast' should be a number",
    "{steps: 3, optimizer: {sdg: {lr: 1}}}": "should be {sgd: {lr: 0.01}} or {adam: {lr: 0.01}}; did you mean 'sgd'?",
    "{steps: 3, optimizer: sgd}": "training.optimizer: 'sgd' should be {sgd: {lr: 0.01}} or {adam: {lr: 0.01}}",
    "{steps: 3, optimizer: {adam: {}}}": "training.optimizer.adam.lr: this key is missing; such as adam: {lr: 0.01}",
    "{steps: 3, optimizer: {adam: {lr: 1, beta: 2}}}": "training.optimizer.adam.beta: unknown key; known here: lr",
    "{steps: 3, optimizer: {sgd: {lr: 1}, adam: {lr: 1}}}": "training.optimizer.adam: unknown key; known here: sgd",
    f"{{steps: 3, {SGD}, clip_nrom: 1}}": "training.clip_nrom: unknown key; did you mean 'clip_norm'?",
    f"{{steps: 3, {SGD}, clip_norm: -1}}": "training.clip_norm: -1 should be above 0",
    f"{{steps: 3, {SGD}, carry_state: yes}}": "training.carry_state: 'yes' should be true or false",
    f"{{steps: 3, {SGD}, batch: 3}}": "a batch of 3 should divide sizes.batch, which is 4; use 1, 2, 4",
    f"{{steps: 3, {SGD}, frozen: [layer0.b]}}": "no weight is named 'layer0.b' here; did you mean 'layer0.b_h'?",
    f"{{steps: 3, {SGD}, frozen: [layer0.b_h, layer0.b_h]}}": "training.frozen[1]: layer0.b_h is already in this list",
    f"{{steps: 3, {SGD}, frozen: [layer0.W_xh, layer0.W_hh, layer0.b_h]}}": "every weight is frozen",
}


@pytest.fixture
def loaded(tmp_path):
    def load(training, more=""):
        file = tmp_path / "mine.yaml"
        file.write_text(f"sizes: {{batch: 4, time: 3, input: 2, hidden: 5}}\ntraining: {training}\n{more}")
        return read(CaseFile(file, tmp_path))

    return load


@pytest.mark.parametrize("training", RIGHT)
def test_what_is_right_is_read(loaded, training):
    found = loaded(training)
    assert not found.mistakes
    (case,) = found.cases
    assert type(case).from_plain(case.to_plain()) == case


@pytest.mark.parametrize(("training", "words"), WRONG.items(), ids=WRONG)
def test_each_mistake_is_told_where_it_is(loaded, training, words):
    (mistake,) = loaded(training).mistakes
    assert words in str(mistake)
    assert mistake.line == 2
    assert mistake.column >= 11


def test_a_sweep_reaches_into_it(loaded):
    found = loaded(f"{{steps: 3, {SGD}}}", "sweep: {training.steps: [1, 2], training.optimizer.sgd.lr: [0.1, 0.2]}\n")
    assert [(each.training["steps"], each.training["optimizer"]["sgd"]["lr"]) for each in found.cases] == [
        (1, 0.1),
        (1, 0.2),
        (2, 0.1),
        (2, 0.2),
    ]


@pytest.mark.parametrize(("name", "mistakes"), [("training.loss", 0), ("trained.layer0.W_hh", 0), ("trained.W", 1)])
def test_its_tensors_may_have_a_tolerance(loaded, name, mistakes):
    found = loaded(f"{{steps: 3, {SGD}}}", f"tolerance: {{{name}: {{atol: 1}}}}\n")
    assert len(found.mistakes) == mistakes
    without = loaded("none", f"tolerance: {{{name}: {{atol: 1}}}}\n")
    assert len(without.mistakes) == 1


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("bidirectional: true", "a training of a bidirectional network cannot carry its states"),
        ("lengths: [2, 1, 3, 3]", "a training with lengths cannot carry its states"),
    ],
    ids=["bidirectional", "lengths"],
)
def test_states_are_carried_only_where_the_last_step_is_before_the_first(loaded, field, said):
    (mistake,) = loaded(f"{{steps: 3, {SGD}, carry_state: true}}", f"{field}\n").mistakes
    assert "training.carry_state" in str(mistake)
    assert said in str(mistake)


def test_a_mean_over_no_step_with_a_loss_is_refused(tmp_path):
    """Found by ``harness fuzz --seed 200``: the loss of such a batch is 0 / 0, in every implementation."""
    path = tmp_path / "x.yaml"
    text = (
        "sizes: {batch: 2, time: 2, input: 1, hidden: 1}\nlengths: [2, 1]\n"
        "training: {steps: 2, optimizer: {sgd: {lr: 0.05}}, batch: 1}\nloss: {steps: [1], reduction: REDUCTION}\n"
    )
    path.write_text(text.replace("REDUCTION", "mean"))
    (mistake,) = read(CaseFile(path, tmp_path)).mistakes
    assert (mistake.line, mistake.path) == (3, ("training", "batch"))
    assert "the sequences 1 to 1 have no step that the loss covers" in mistake.problem
    path.write_text(text.replace("REDUCTION", "sum"))
    assert read(CaseFile(path, tmp_path)).cases
    path.write_text(text.replace("REDUCTION", "mean").replace("[1]", "[0]"))
    assert read(CaseFile(path, tmp_path)).cases
