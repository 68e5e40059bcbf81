"""``harness port``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.exits import Exit
from harness.cli.options import report_option
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.port import Plan


@click.command("port")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["torch", "keras", "tf1", "npz"]), required=True, help="The framework of OUT.")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--layer", metavar="PATH", help="Which recurrent layers, where IN has several: encoder.rnn for one.")
@click.option(
    "--layout",
    type=click.Choice(["split", "torch", "keras", "tf1"]),
    help="Of the tensors in IN, where its names do not say.",
)
@click.option(
    "--activation",
    type=click.Choice(["tanh", "relu", "sigmoid", "identity"]),
    help="Of an rnn, where IN does not say; tanh unless given.",
)
@report_option("--proof", "reports/port", "The folder of the proof, a report.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    source: Path,
    to: str,
    target: Path,
    layer: str | None,
    layout: str | None,
    activation: str | None,
    proof: Path,
    as_json: bool,
) -> None:
    """Port recurrent weights from one framework's file to another's, and prove that both compute the same.

    IN is a state dict of torch (.pt, .pth, .safetensors), a file of Keras (.keras, .weights.h5, .h5), a checkpoint of
    TensorFlow 1 (.index), or an .npz file; OUT the file to write, which must not be there. Each is read and run by its
    own framework; outputs and every gradient must agree, or OUT is not written.
    """
    from harness import report
    from harness.checkpoint import CheckpointRefused
    from harness.cli.judge import exit_status
    from harness.cli.overview import show_report
    from harness.cli.run import described
    from harness.cli.screen import progress
    from harness.port import ProofFailed, planned, port
    from harness.port.proof import Porters
    from harness.worker import Memory

    try:
        report.check(proof)
        plan = planned(source, to, target, layout, layer, activation)
    except (CheckpointRefused, report.NotAReport) as error:
        raise click.UsageError(_of(source, error)) from None
    _end_if_not_installed(plan)
    again = f"harness port {shlex.quote(str(source))} --to {to} {shlex.quote(str(target))}"
    with report.Keeper(proof) as keeper:
        try:
            with Porters(Memory()) as workers, progress(1, workers.starting):
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
        about = {"layers": plan.layers.path, "cell": plan.case.cell, "wrote": files}
        write_json({**described(done.run, proof, status), **about})
    else:
        for _, each in done.run.failed_implementations:
            if each.detail:
                click.echo(f"--- {each.implementation}:\n{each.detail.rstrip()}\n", err=True)
        show_report(found, proof)
        click.echo(_told(plan, files))
    raise click.exceptions.Exit(status)


def _of(source: Path, error: Exception) -> str:
    from harness.checkpoint import CheckpointRefused

    return f"{source} {error}" if isinstance(error, CheckpointRefused) else str(error)


def _end_if_not_installed(plan: Plan) -> None:
    from harness.implementations import install_line, missing_modules

    for side in (plan.original, plan.ported):
        if missing := missing_modules(side.framework):
            click.echo(
                f"{side.to} needs {missing[0]}, which is not installed; {install_line(side.framework)}", err=True
            )
            raise click.exceptions.Exit(Exit.NOT_INSTALLED)


def _told(plan: Plan, files: list[str]) -> str:
    case = plan.case
    kind = f"{'bidirectional ' if case.bidirectional else ''}{case.cell}"
    guessed = case.cell == "rnn" and plan.layers.block.activation is None
    taken = (
        f", {case.activation}" + (" unless --activation says otherwise" if guessed else "")
        if case.cell == "rnn"
        else ""
    )
    what = f"{plan.layers.path}: {case.layers} x {kind}, {case.sizes.input} to {case.sizes.hidden}, {case.dtype}{taken}"
    if not files:
        return f"{what}\nnothing was written: the port does not compute the same"
    return f"{what}\nwrote {', '.join(files)}"
