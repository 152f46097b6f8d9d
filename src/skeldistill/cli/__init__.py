"""The command line: parse, call one function, and say in one line what went wrong."""

import os
import sys

import typer

from skeldistill import __version__
from skeldistill.cli import (
    compare,
    costs,
    data,
    evaluation,
    experiments,
    export,
    extract,
    predict,
    reproduce,
    robustness,
    serve,
    shelves,
    stopping,
    submit,
    weights,
)

TRACEBACK = "SKELDISTILL_TRACEBACK"
"""Set to anything, it shows where an error arose: for those who write a part of their own."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Action recognition on cheap skeletons, taught by good ones.\n\n"
    "Start with: `skeldistill run demo`",
)
app.add_typer(data.app, name="data")
for command in (
    experiments.run,
    submit.submit,
    experiments.train,
    experiments.distill,
    evaluation.evaluate,
    compare.compare,
    experiments.report,
    experiments.part_matrix,
    extract.extract,
    extract.fetch_weights,
    robustness.robustness,
    reproduce.reproduce,
    predict.predict,
    export.export,
    weights.import_weights,
    serve.serve,
    costs.cost,
    shelves.layouts,
    shelves.parts,
    shelves.recipes,
    shelves.schema,
):
    app.command(name=command.__name__.replace("_", "-"))(command)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        typer.echo(f"skeldistill {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; exits with 0 if all went well, 1 or 2 with one line, 130 if stopped."""
    try:
        with stopping.stopped_well():
            code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = stopping.INTERRUPTED
    except (OSError, ValueError) as error:
        if os.environ.get(TRACEBACK):
            raise
        typer.echo(f"skeldistill: {one_line(error)}", err=True)
        sys.exit(1)
    except Exception as error:
        # A wrong word on the command line; its class is click's or, in newer typers, their own.
        if not hasattr(error, "show"):
            raise
        error.show()  # type: ignore[attr-defined]
        sys.exit(getattr(error, "exit_code", 2))
    if code == stopping.INTERRUPTED:  # newer typers return it, older ones raise
        typer.echo(stopping.said(sys.argv[1:]), err=True)
    sys.exit(code if isinstance(code, int) else 0)


def one_line(error: Exception) -> str:
    """An error as one line, with the file where the system knows it."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split())
