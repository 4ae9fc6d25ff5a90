"""The `chfw` command: every subcommand is registered here, by hand, in the order of its help."""

import typer

from chfw_cli.commands import aside, audit, lines, parked, positions, unsent
from chfw_cli.commands.demo import demo
from chfw_cli.commands.doctor import doctor
from chfw_cli.commands.down import down
from chfw_cli.commands.seed import seed
from chfw_cli.commands.simulate import simulate
from chfw_cli.commands.status import status
from chfw_cli.commands.token import token
from chfw_cli.commands.up import up

app = typer.Typer(
    name="chfw",
    help="Communications Hub firmware roll-out on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

for _command in (
    up,
    status,
    down,
    doctor,
    seed,
    token,
    demo,
    simulate,
):
    app.command()(_command)
app.add_typer(parked.app, name="parked")
app.add_typer(positions.app, name="positions")
app.add_typer(unsent.app, name="unsent")
app.add_typer(aside.app, name="aside")
app.add_typer(lines.app, name="lines")
app.add_typer(audit.app, name="audit")

if __name__ == "__main__":
    app()
