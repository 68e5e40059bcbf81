"""``harness port``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import finite, ignore_option, report_option
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.port import Plan, Ported


@click.command("port")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["torch", "keras", "tf1", "npz"]), required=True, help="Framework of OUT.")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--layer", metavar="PATH", help="Recurrent layers to port, if IN has several; for example encoder.rnn.")
@click.option(
    "--layout",
    type=click.Choice(["split", "torch", "keras", "tf1"]),
    help="Layout of the tensors in IN, if their names do not show it.",
)
@click.option(
    "--cell",
    type=click.Choice(["rnn", "gru", "lstm"]),
    help="Cell, if IN holds only weights and does not name it; by default derived from their shapes.",
)
@click.option("--activation", metavar="NAME", help="Activation, if IN holds only weights; tanh by default.")
@click.option(
    "--recurrent-activation",
    metavar="NAME",
    help="Activation of the gates, if IN holds only weights; sigmoid by default.",
)
@click.option(
    "--forget-bias",
    type=float,
    callback=finite,
    metavar="NUMBER",
    help="Number that a TensorFlow 1 lstm adds to its forget gate at run time; 1 by default.",
)
@click.option(
    "--reset",
    type=click.Choice(["before", "after"]),
    help="Place of a gru's reset gate, if neither names nor shapes show it; after the product by default.",
)
@ignore_option
@report_option("--proof", "reports/port", "Folder of the proof, which is a report.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    source: Path,
    to: str,
    target: Path,
    layer: str | None,
    ignored: tuple[str, ...],
    proof: Path,
    as_json: bool,
    **stated: Any,
) -> None:
    """Port recurrent weights from one framework's file to another's, and prove that both compute the same.

    IN is a state dict of torch (.pt, .pth, .safetensors), a file of Keras (.keras, .weights.h5, .h5), a checkpoint of
    TensorFlow 1 (.index), or an .npz file; its content decides, not its name. OUT is the file to write; it must not
    exist. Each file is read and run by its own framework. OUT is written only if outputs and all gradients agree.
    """
    from harness import report
    from harness.checkpoint import CheckpointRefused
    from harness.cli.judge import exit_status
    from harness.cli.overview import show_report
    from harness.cli.run import described
    from harness.cli.screen import progress
    from harness.execution.processes import AnswerCache
    from harness.port import ProofFailed, planned, port
    from harness.port.proof import Porters

    try:
        report.check(proof)
        plan = planned(source, to, target, layer, ignored, **stated)
    except (CheckpointRefused, report.NotAReport) as error:
        raise click.UsageError(_of(source, error)) from None
    _check_proof(proof, plan)
    _end_if_not_installed(plan)
    options = {"layer": layer, **stated}
    given = [(name.replace("_", "-"), value) for name, value in options.items() if value is not None]
    given += [("ignore", name) for name in ignored]
    files, words = [str(source), str(target)], [word for name, value in given for word in (f"--{name}", str(value))]
    if any(file.startswith("-") for file in files):
        again = shlex.join(["harness", "port", "--to", to, *words, "--", *files])
    else:
        again = shlex.join(["harness", "port", str(source), "--to", to, str(target), *words])
    with report.Keeper(proof) as keeper:
        try:
            with Porters(AnswerCache()) as workers, progress(1, workers.starting):
                done = port(plan, workers, keeper.keep)
        except CheckpointRefused as refused:
            raise click.UsageError(_of(source, refused)) from None
        except ProofFailed as failed:
            click.echo("\n".join(filter(None, [failed.detail, f"Error: nothing was written: {failed}"])), err=True)
            raise click.exceptions.Exit(Exit.IMPLEMENTATION_FAILED) from None
        found = report.of_run(done.run, keeper.folder, again=again)
        report.write(found, proof)
    status = exit_status(done.run)
    files = [str(file) for file in done.files]
    if as_json:
        about: dict[str, Any] = {"layers": plan.layers.path, "cell": plan.case.cell, "wrote": files}
        about |= {"remarks": list(plan.layers.remarks), "assumed": not plan.layers.cell.said}
        write_json({**described(done.run, proof, status), **about})
    else:
        for _, each in done.run.failed_implementations:
            if each.detail:
                click.echo(f"--- {each.implementation}:\n{each.detail.rstrip()}\n", err=True)
        show_report(found, proof)
        click.echo(_described(plan, done))
    raise click.exceptions.Exit(status)


def _check_proof(proof: Path, plan: Plan) -> None:
    """End the command if the folder of the proof is inside a file that the port writes."""
    for file in (plan.target, *plan.ported.written(plan.target)):
        if proof.resolve().is_relative_to(file.resolve()):
            raise click.UsageError(f"--proof {proof} is inside {file}, which will be written; choose another folder")


def _of(source: Path, error: Exception) -> str:
    from harness.checkpoint import CheckpointRefused

    return f"{source} {error}" if isinstance(error, CheckpointRefused) else str(error)


def _end_if_not_installed(plan: Plan) -> None:
    from harness.implementations import install_line, missing_modules

    for side in (plan.original, plan.ported):
        if missing := missing_modules(side.framework):
            name = side.to or side.name
            click.echo(f"{name} needs {missing[0]}, which is not installed; {install_line(side.framework)}", err=True)
            raise click.exceptions.Exit(Exit.NOT_INSTALLED)


def _described(plan: Plan, done: Ported) -> str:
    case, files = plan.case, [str(file) for file in done.files]
    kind = f"{'bidirectional ' if case.bidirectional else ''}{case.cell}"
    sizes = f"{case.sizes.input:,} inputs, {case.sizes.hidden:,} hidden units"
    layers = (
        f"{plan.layers.path}: {case.layers} {kind} {'layer' if case.layers == 1 else 'layers'}, {sizes}, {case.dtype}"
    )
    result = f"wrote {', '.join(files)}" if files else f"nothing was written: {_why_not(done)}"
    return "\n".join([layers, *plan.layers.remarks, result])


def _why_not(done: Ported) -> str:
    for _, each in done.run.failed_implementations:  # the original is the first; if it fails, no other ran
        return f"{each.implementation} did not run: {each.reason}"
    return "the ported weights do not compute the same"
