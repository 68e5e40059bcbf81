"""Extreme case files: each has one line or two, and must be refused at once."""

from __future__ import annotations

SIZES = "sizes: {batch: 2, time: 3, input: 4, hidden: 5}\n"


def _many(number: int, text: str) -> str:
    return ",".join(text.format(i) for i in range(number))


EXTREMES: dict[str, str] = {
    "pipe_for_an_array": SIZES + "inputs: {file: pipe.npz, key: a}\n",
    "shape_of_terabytes": SIZES + "inputs: {file: huge.npz, key: a}\n",
    "zip_bomb": SIZES + "inputs: {file: bomb.npz, key: a}\n",
    "pickled_code": SIZES + "inputs: {file: pickled.npz, key: a}\n",
    "link_out_of_the_folder": SIZES + "inputs: {file: link.npz, key: a}\n",
    "way_out_of_the_folder": SIZES + "inputs: {file: ../outside.npz, key: a}\n",
    "folder_for_an_array": SIZES + "inputs: {file: ., key: a}\n",
    "nul_in_a_name": SIZES + 'inputs: {file: "a\\0.npz", key: a}\n',
    "long_name": SIZES + f"inputs: {{file: {'a' * 100_000}.npz, key: a}}\n",
    "no_name": SIZES + "inputs: {file: good.npz, key: ''}\n",
    "label_without_a_class": (
        "sizes: {batch: 2, time: 3, input: 4, hidden: 5, output: 1}\nreadout: linear\n"
        "loss: {kind: softmax_cross_entropy}\ntargets: ones\n"
    ),
    "sweep_of_a_billion": SIZES + f"sweep: {{{_many(9, 'key{}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]')}}}\n",
    "sweep_with_one_mistake": SIZES
    + f"activation: foo\nsweep: {{sizes.time: [{_many(300, '{}')}], sizes.batch: [{_many(300, '{}')}]}}\n",
    "sweep_far_down": SIZES + f"sweep: {{a.{'b.' * 5000}c: [1]}}\n",
    "three_million_values": SIZES + f"inputs: {{values: [{'1.0,' * 3_000_000}]}}\n",
    "a_text_of_megabytes": SIZES + f"about: {'x' * 17_000_000}\n",
    "a_text_of_a_hundred_thousand_letters": SIZES + f"about: {'x' * 100_000}\n",
    "a_folded_text_of_megabytes": SIZES + "about: >\n" + "  x y z\n" * 200_000,
    "a_key_of_megabytes": SIZES + f"? {'x' * 1_000_000}\n: 1\n",
    "a_name_of_megabytes": SIZES + f"sweep: {{about: [{'x' * 1_000_000}, b]}}\n",
    "many_tensors": SIZES + f"weights: {{{_many(40_000, 'k{}: ones')}}}\n",
    "many_keys": SIZES + "".join(f"k{i}: ones\n" for i in range(40_000)),
    "many_digits": SIZES + f"inputs: {{fill: {'9' * 400}}}\n",
    "more_digits": SIZES + f"inputs: {{fill: {'9' * 100_000}}}\n",
    "seed_of_many_digits": SIZES + f"inputs: {{normal: 1.0, seed: {'9' * 390}}}\n",
    "uniform_beyond_floats": SIZES + "inputs: {uniform: [-1e308, 1e308]}\n",
    "normal_beyond_floats": SIZES + "inputs: {normal: 1e308}\n",
    "fill_beyond_float32": SIZES + "dtype: float32\ninputs: {fill: 1e300}\n",
    "labels_beyond_floats": SIZES + f"loss: {{kind: softmax_cross_entropy}}\ntargets: {{uniform: [0, {'9' * 390}]}}\n",
    "label_of_many_digits": SIZES + f"loss: {{kind: softmax_cross_entropy}}\ntargets: {{fill: {'9' * 30}}}\n",
    "many_steps_of_loss": SIZES + f"loss: {{steps: [{'0,' * 90_000}]}}\n",
    "many_lengths": SIZES + f"lengths: [{'9,' * 90_000}]\n",
    "a_hundred_million_steps": "sizes: {batch: 1, time: 100000000, input: 1, hidden: 1}\n",
    "a_trillion_steps": "sizes: {batch: 1, time: 1e12, input: 1, hidden: 1}\n",
    "size_that_is_no_number": "sizes: {batch: 1, time: .nan, input: 1, hidden: 1}\n",
    "many_layers": SIZES + "layers: 10000\nweights: {layer99999.W_xh: ones, default: ones}\n",
    "wide_readout": "sizes: {batch: 2, time: 3, input: 4, hidden: 5, output: 10000000000}\nreadout: linear\n",
    "a_trillion_steps_of_training": SIZES + "training: {steps: 1000000000000, optimizer: {sgd: {lr: 0.1}}}\n",
    "many_batches": "sizes: {batch: 50000000, time: 1, input: 1, hidden: 1}\n"
    "training: {steps: 1, optimizer: {sgd: {lr: 0.1}}, batch: 7}\n",
    "many_implementations": SIZES + f"implementations: [{_many(20_000, 'torhc{}')}]\n",
    "many_frozen": SIZES
    + f"training: {{steps: 1, optimizer: {{sgd: {{lr: 0.1}}}}, frozen: [{_many(20_000, 'W{}')}]}}\n",
    "many_published": SIZES
    + f"published: {{source: x, gradients: [{{tensor: layer0.W_xh, at: [0], values: [{'1,' * 90_000}]}}]}}\n",
    "published_to_absurd_digits": SIZES
    + "published: {source: x, gradients: [{tensor: layer0.b_h, values: [1e-99999, 1e9999999999, 1e5, 0x1F, 1]}]}\n",
    "many_tolerances": SIZES + f"tolerance: {{{_many(20_000, 'W{}: {{{{rtol: 1}}}}')}}}\n",
    "half_a_character": SIZES + 'about: "\\ud800"\n',
    "half_a_character_as_a_key": SIZES + '"\\ud800": 1\n',
    "half_a_character_in_a_sweep": SIZES + 'sweep: {about: ["\\ud800", b]}\n',
    "half_a_character_in_a_source": SIZES + 'published: {source: "\\udfff", gradients: []}\n',
    "half_a_character_as_it_is": SIZES + "about: \ud800\n",
    "escape_in_a_terminal": SIZES + 'about: "\\e[2J"\n',
    "nul_by_escape": SIZES + 'because: "a\\0b"\n',
    "no_character": SIZES + 'about: "\\uffff"\n',
    "billion_laughs": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "deep_list": SIZES + "inputs: " + "[" * 100_000 + "\n",
    "deep_block": "".join("  " * i + "a:\n" for i in range(500)),
    "python_tag": SIZES + "about: !!python/object/apply:os.abort []\n",
    "byte_order_mark_twice": "\ufeff\ufeff" + SIZES,
    "tabs": "sizes:\n\tbatch: 2\n",
    "nul": SIZES + "about: a\0b\n",
    "key_twice": SIZES + SIZES,
    "key_that_is_a_list": SIZES + "? [1, 2]\n: x\n",
    "key_that_is_a_number": SIZES + "1: x\n",
    "merge_key": SIZES + "<<: {layers: 2}\n",
    "two_documents": SIZES + "---\n" + SIZES,
}
"""Case files that are too large in some respect or not allowed, by name."""
