"""The commands about buyers' wires: recorded cases, and a sample lead sent before a real one is at stake."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from exchange.commands.session import loaded_settings, with_database
from exchange.settings import secret_environment

buyer_app = typer.Typer(help="Buyers' endpoints, tried with sample leads.", no_args_is_help=True)

Order = Annotated[str, typer.Argument(help="The order whose endpoint is tried.")]
Sample = Annotated[Path, typer.Option("--lead", help="A JSON file with the fields of a sample lead.")]
WithPost = Annotated[bool, typer.Option("--post", help="Post the sample, too, at the price that was bid.")]
WithStatus = Annotated[bool, typer.Option("--status", help="Ask afterwards what became of the post.")]
NotATest = Annotated[bool, typer.Option("--not-a-test", help="Send the sample as a lead, without the mark of a test.")]


def check(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders with cases, or single ones.")],
) -> None:
    """Run recorded cases of buyers' endpoints; nothing is sent."""
    from exchange.commands import cases

    lines, all_agree = cases.check(folders)
    for line in lines:
        print(line)
    if not all_agree:
        raise typer.Exit(1)


@buyer_app.command("try")
def try_buyer(
    order: Order, lead: Sample, post: WithPost = False, status: WithStatus = False, not_a_test: NotATest = False
) -> None:
    """Send a sample lead to an order's endpoint, and show every byte; nothing is sold or recorded."""
    _try(order, lead, _Way(post, status, not not_a_test), out=None)


@buyer_app.command("record")
def record(
    order: Order,
    lead: Sample,
    out: Annotated[Path, typer.Option(help="The case file to be written; it must not be there yet.")],
    post: WithPost = False,
    status: WithStatus = False,
    not_a_test: NotATest = False,
) -> None:
    """As try, and write down the last answer as a case that check can run."""
    _try(order, lead, _Way(post, status, not not_a_test), out=out)


class _Way(NamedTuple):
    post: bool
    status: bool
    test: bool


def _try(order: str, lead: Path, way: _Way, *, out: Path | None) -> None:
    from exchange.commands import buyers

    settings, environment = loaded_settings(), secret_environment()
    wish = buyers.Wish(order, lead, way.post, way.test, way.status)
    if out is not None:
        buyers.check_free(out)
    ready = with_database(settings, lambda database: buyers.prepare(database, wish, environment))
    found = buyers.tried(
        ready, wish, environment, allow_private=settings.allow_private_addresses, ca_file=settings.ca_file
    )
    for line in buyers.lines_of(found):
        print(line)
    if out is not None:
        buyers.save(out, buyers.case_text(found, wish))
        print(f"Recorded in {out}.")
    if not found.is_well:
        raise typer.Exit(1)
