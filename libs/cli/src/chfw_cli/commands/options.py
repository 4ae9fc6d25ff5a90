"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from chfw_cli.local.state import StateDir

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="The directory of everything local. [default: $CHFW_STATE, else one under the temporary directory]",
    ),
]


def chosen_state(path: Path | None) -> StateDir:
    """The state directory of the option, else the default one."""
    return StateDir(path.absolute()) if path is not None else StateDir.default()
