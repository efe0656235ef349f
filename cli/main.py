"""The command `pocketrec`, its one error boundary, and the exit codes.

    0 done, all passed    1 a check failed      2 usage or recipe    3 the model cannot be converted
    4 a defect in pocketrec    5 a registry   130 interrupted      143 terminated
    with a key: 10 unsigned    11 signed with another    12 altered since    13 expired
    14 nothing is wrong, but an engine gave no answer

Command modules import torch, coremltools, onnxruntime and numpy inside their functions only, so
that `--help` answers at once.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any

import click

from pocketrec import __version__
from pocketrec.cli.apply import apply
from pocketrec.cli.assign import assign
from pocketrec.cli.build import build
from pocketrec.cli.card import card
from pocketrec.cli.console import plain, print_json
from pocketrec.cli.convert import convert
from pocketrec.cli.delta import delta
from pocketrec.cli.diff import diff
from pocketrec.cli.diverge import diverge
from pocketrec.cli.doctor import doctor
from pocketrec.cli.experiment import experiment
from pocketrec.cli.imports import import_less
from pocketrec.cli.init import init
from pocketrec.cli.inspect import inspect
from pocketrec.cli.lint import lint
from pocketrec.cli.list import list_command
from pocketrec.cli.package import package
from pocketrec.cli.parity import parity
from pocketrec.cli.profile import profile
from pocketrec.cli.pull import pull
from pocketrec.cli.push import push
from pocketrec.cli.recommend import recommend
from pocketrec.cli.report import report
from pocketrec.cli.run import run
from pocketrec.cli.score import score
from pocketrec.cli.search import search
from pocketrec.cli.serve_pipe import serve_pipe
from pocketrec.cli.sign import sign
from pocketrec.cli.signals import INTERRUPTED, TERMINATED, Terminated, endings
from pocketrec.cli.tag import tag
from pocketrec.cli.verify import verify
from pocketrec.cli.zoo import zoo
from pocketrec.errors import MissingExtra, PocketrecError
from pocketrec.files import told_by_system
from pocketrec.places import exits_told

INTERNAL_ERROR = 4
_JSON = "pocketrec.json"  # in the context: whether JSON was asked for
_BUILD_EXTRA = frozenset({"torch", "onnxscript", "onnx_ir", "scipy", "sklearn", "joblib", "cloudpickle"})


class Boundary(click.Group):
    """A group in which every error ends as one line on stderr and its exit code.

    With `--json` it is a document on stdout, too, so that what reads the result reads why there is none.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The rest of the arguments; whether JSON was asked for is kept."""
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns; never a traceback unless `--debug` asks for one."""
        try:
            with endings(), exits_told():
                return super().invoke(ctx)
        except click.ClickException as error:
            self._print_json(ctx, "UsageError", error.format_message(), error.exit_code)
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt as signal:
            terminated = isinstance(signal, Terminated)
            notes = getattr(signal, "__notes__", ())
            click.echo("; ".join(["terminated" if terminated else "interrupted", *notes]), err=True)
            ctx.exit(TERMINATED if terminated else INTERRUPTED)
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            error = as_told(error)
            message, code = describe(error)
            self._print_json(ctx, type(error).__name__, message, code)
            click.echo(f"error: {message}", err=True)
            ctx.exit(code)

    def _print_json(self, ctx: click.Context, kind: str, message: str, code: int) -> None:
        if ctx.meta.get(_JSON):
            print_json({"schema": 1, "error": {"kind": kind, "message": message, "exit_code": code}})


def as_told(error: Exception) -> Exception:
    """What an exception from elsewhere means for who called; the exception itself where it is a defect."""
    if isinstance(error, ModuleNotFoundError) and error.name in _BUILD_EXTRA:
        return MissingExtra(error.name, "build")
    if isinstance(error, OSError):
        return told_by_system(error) or error
    return error


def describe(error: Exception) -> tuple[str, int]:
    """The line to print for an exception, and the exit code."""
    error = as_told(error)
    if isinstance(error, PocketrecError):
        return plain(" ".join(str(error).split())), error.exit_code
    first = (str(error).splitlines() or [""])[0]
    kind = type(error).__name__
    return f"defect in pocketrec: {kind}: {first}; run again as `pocketrec --debug ...`", INTERNAL_ERROR


@click.group(cls=Boundary, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="pocketrec")
def main(debug: bool) -> None:
    """Trained PyTorch recommenders to Core ML and ONNX, with proof that they still rank as they did.

    Results go to stdout, progress and errors to stderr. Exit codes: 0 passed, 1 a check failed,
    2 usage or recipe error, 3 the model cannot be converted, 4 a defect in pocketrec, 5 a registry was not
    reached or refused, 14 an engine gave no answer, 130 interrupted, 143 terminated. Where a key was given:
    10 unsigned, 11 signed with another key, 12 altered, 13 expired.
    """
    # coremltools reports on stderr what it was not tested with; `pocketrec doctor` shows the versions.
    logging.getLogger("coremltools").setLevel(logging.CRITICAL if not debug else logging.INFO)
    import_less()


for _command in (
    build,
    convert,
    verify,
    sign,
    push,
    pull,
    list_command,
    tag,
    init,
    inspect,
    report,
    card,
    lint,
    run,
    serve_pipe,
    recommend,
    search,
    score,
    package,
    delta,
    apply,
    diff,
    diverge,
    profile,
    parity,
    assign,
    experiment,
    doctor,
    zoo,
):
    main.add_command(_command)
