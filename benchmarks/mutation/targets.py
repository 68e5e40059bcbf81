"""The modules that are mutated, and the tests that must notice, all in one process.

The paths of tests have the order in which they run, the quickest and sharpest first; the first failure ends a mutant.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

COMPARISON = (
    "comparison/test_compare.py",
    "comparison/test_screening.py",
    "comparison/test_two_dtypes.py",
    "comparison/test_what_is_given.py",
    "comparison/test_what_a_failure_says.py",
    "comparison/test_edges_of_metrics.py",
    "comparison/test_verdict_rules.py",
    "comparison/test_partial_results.py",
    "comparison/test_too_small.py",
    "comparison/test_ulp_distance.py",
    "comparison/test_default_bounds.py",
    "comparison/test_metrics_element_by_element.py",
    "comparison/test_wrong_gradients.py",
)
LAYOUT = (
    "layout/test_pairs_of_biases.py",
    "layout/test_there_and_back.py",
    "layout/test_layout_discovery.py",
    "layout/test_why_not.py",
    "layout/test_gates.py",
    "layout/test_directions.py",
    "layout/test_partial_sets.py",
    "layout/test_torch_biases.py",
    "layout/test_two_biases.py",
    "layout/test_layout_chain_rule.py",
    "layout/test_every_bit_pattern.py",
)
GATED = (
    "reference_impls/test_last_states.py",
    "reference_impls/test_gated_closed_forms.py",
    "reference_impls/test_dtypes_stay.py",
    "reference_impls/test_purity.py",
    "reference_impls/test_no_buffer_is_wider.py",
    "reference_impls/test_two_derivations.py",
    "reference_impls/test_stacking.py",
    "reference_impls/test_gated_mistakes.py",
    "reference_impls/test_gated_gradients.py",
    "reference_impls/test_lengths_and_directions.py",
    "reference_impls/test_truncated.py",
)
PLAIN = (
    "reference_impls/test_last_states.py",
    "reference_impls/test_what_layers_refuse.py",
    "reference_impls/test_closed_forms.py",
    "reference_impls/test_dtypes_stay.py",
    "reference_impls/test_purity.py",
    "reference_impls/test_no_buffer_is_wider.py",
    "reference_impls/test_two_derivations.py",
    "reference_impls/test_gradients_by_complex_step.py",
    "reference_impls/test_lengths_and_directions.py",
    "reference_impls/test_truncated.py",
)

STANDING_ALONE = ("peephole_lstm", "layer_norm_lstm", "min_gru", "selective_scan", "delta_net", "mlstm")

TESTS: dict[str, tuple[str, ...]] = {
    "harness/precision/tolerance.py": (
        "comparison/test_the_table_of_tolerances.py",
        "comparison/test_default_bounds.py",
        "training/test_tolerances.py",
        "comparison/test_rounding_noise.py",
        *COMPARISON[:7],
    ),
    "harness/comparison": COMPARISON,
    "harness/layout": LAYOUT,
    "reference_impls": PLAIN,
    "reference_impls/__init__.py": ("reference_impls/test_stands_alone.py",),
    "reference_impls/activations.py": ("reference_impls/test_activation_functions.py", *PLAIN),
    "reference_impls/bidirectional.py": (
        "reference_impls/test_what_layers_refuse.py",
        "reference_impls/test_lengths_and_directions.py",
        "reference_impls/test_truncated.py",
    ),
    "reference_impls/gru_concatenated.py": GATED,
    "reference_impls/gru_split.py": GATED,
    "reference_impls/layer.py": ("reference_impls/test_lengths_and_directions.py", *PLAIN),
    "reference_impls/derivatives.py": ("reference_impls/test_derivatives.py",),
    "reference_impls/lengths.py": (
        "reference_impls/test_what_layers_refuse.py",
        "reference_impls/test_lengths_and_directions.py",
        "reference_impls/test_truncated.py",
    ),
    "reference_impls/linear_dynamics.py": (
        "reference_impls/test_work.py",
        "reference_impls/test_linear_dynamics.py",
    ),
    "reference_impls/losses.py": ("reference_impls/test_loss_functions.py", *PLAIN),
    "reference_impls/lstm_concatenated.py": GATED,
    "reference_impls/lstm_split.py": GATED,
    "reference_impls/network.py": (*PLAIN, "reference_impls/test_gated_gradients.py"),
    "reference_impls/optimisers.py": ("reference_impls/test_optimisers.py",),
    "reference_impls/truncation.py": ("reference_impls/test_truncated.py",),
    **{f"reference_impls/{name}.py": ("recurrences/test_by_hand.py",) for name in STANDING_ALONE},
}
"""The tests by mutated path; if two paths fit a module, the longer one counts."""

PARTS = ("harness/precision/tolerance.py", "harness/comparison", "harness/layout", "reference_impls")
"""The parts with a score of their own."""


def modules(wanted: tuple[str, ...]) -> list[str]:
    """Return the paths of all modules below the wanted ones, from the repository's root."""
    found = []
    for each in wanted or PARTS:
        place = ROOT / each
        found += [place] if place.is_file() else sorted(place.rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


def tests_of(module: str) -> tuple[str, ...]:
    """Return the paths of the tests for a mutant of a module."""
    fitting = max((each for each in TESTS if f"{module}/".startswith(f"{each}/")), key=len)
    return tuple(str(ROOT / "tests" / each) for each in TESTS[fitting])


def part_of(module: str) -> str:
    """Return the part that a module's mutants count for."""
    return next(part for part in PARTS if f"{module}/".startswith(f"{part}/"))
