"""`pocketrec experiment`: what comes before one, and what is checked while it runs."""

from __future__ import annotations

import click

from pocketrec.cli.estimate import estimate
from pocketrec.cli.interleave import interleave
from pocketrec.cli.sizing import power, ratio


@click.group()
def experiment() -> None:
    """Try a policy on logs or simulated users, plan an experiment, and check its units."""


for _command in (estimate, interleave, power, ratio):
    experiment.add_command(_command)
