"""The `parley` command. Each command is a module in app/commands, imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from app.errors import ConfigurationError

app = typer.Typer(
    name="parley",
    help="A self-hosted 8x8 endpoint: connects a virtual agent to the 8x8 Contact Center Chat Gateway.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database's tables.", no_args_is_help=True)
conversations = typer.Typer(help="Conversations, as they are stored.", no_args_is_help=True)
deliveries = typer.Typer(help="What is to be sent to 8x8, was, or could not be.", no_args_is_help=True)
handovers = typer.Typer(help="Handovers to human agents.", no_args_is_help=True)
endpoints = typer.Typer(help="Each endpoint and its state; without a command, show them.")
sandbox = typer.Typer(help="A local Chat Gateway; without a command, run it.")
app.add_typer(sandbox, name="sandbox")
token = typer.Typer(help="Tokens of services that call in, and of those who read.", no_args_is_help=True)
key = typer.Typer(help="The key of endpoints that encrypt.", no_args_is_help=True)
contacts = typer.Typer(help="The people at the other end: find, hand out, erase.", no_args_is_help=True)
app.add_typer(contacts, name="contacts")
app.add_typer(token, name="token")
app.add_typer(key, name="key")
app.add_typer(db, name="db")
app.add_typer(conversations, name="conversations")
app.add_typer(deliveries, name="deliveries")
app.add_typer(handovers, name="handovers")
app.add_typer(endpoints, name="endpoints")

#: No number in the database is larger.
LARGEST = 2**63 - 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EndpointName = Annotated[Optional[str], typer.Option("--endpoint", help="Only this endpoint's.")]  # noqa: UP045
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, newest first.")]


@app.command()
def up(
    no_sandbox: Annotated[bool, typer.Option("--no-sandbox", help="Without the sandbox.")] = False,
) -> None:
    """Run everything on this machine: PostgreSQL, Prefect, receiver, worker, sandbox."""
    from app.commands import up as command

    raise typer.Exit(command.run(sandbox=not no_sandbox))


@app.command()
def serve() -> None:
    """Run the receiver: take 8x8's webhooks."""
    from app.commands import serve as command

    command.run()


@app.command()
def work() -> None:
    """Run a worker: claim conversations and answer them."""
    from app.commands import work as command

    command.run()


@sandbox.callback(invoke_without_command=True)
def run_sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[Optional[int], typer.Option(help="Else PARLEY_SANDBOX_PORT.")] = None,  # noqa: UP045
    tenant: Annotated[Optional[str], typer.Option(help="A tenant of its own, beside the file's.")] = None,  # noqa: UP045
    api_key: Annotated[Optional[str], typer.Option(help="That tenant's API key.")] = None,  # noqa: UP045
    webhook_url: Annotated[Optional[str], typer.Option(help="Where its events go.")] = None,  # noqa: UP045
) -> None:
    """Run a local Chat Gateway for the endpoints of endpoints.yaml that point at it."""
    if context.invoked_subcommand is not None:
        return
    from app.commands import sandbox as command

    command.run(host=host, port=port, tenant=tenant, api_key=api_key, webhook_url=webhook_url)


@sandbox.command("play")
def play_scenarios(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenarios, as YAML.")],
    endpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Whose bot to talk to; else the file says, else the first."),
    ] = None,
    url: Annotated[Optional[str], typer.Option(help="The sandbox; else the one on this machine.")] = None,  # noqa: UP045
    junit: Annotated[Optional[Path], typer.Option(help="Write JUnit's XML there too.")] = None,  # noqa: UP045
    wait: Annotated[float, typer.Option(help="Seconds to wait for sandbox and bots to be there.")] = 0.0,
) -> None:
    """Play scripted conversations against a bot; the exit code is 1 when one fails."""
    from app.commands import sandbox_play as command

    raise typer.Exit(command.run(files, endpoint=endpoint, url=url, junit=junit, wait=wait))


@app.command()
def chat(endpoint: EndpointName = None) -> None:
    """Talk to a bot in this terminal, through the sandbox."""
    from app.commands import chat as command

    raise typer.Exit(command.run(endpoint=endpoint))


@app.command()
def reload() -> None:
    """Have every receiver and worker read endpoints.yaml again."""
    from app.commands import reload as command

    raise typer.Exit(command.run())


@app.command()
def check(
    files: Annotated[bool, typer.Option("--files", help="Try the storage of files and ClamAV, too.")] = False,
) -> None:
    """Check endpoints.yaml, and import and lint its bots."""
    from app.commands import check as command

    raise typer.Exit(command.run(files=files))


@endpoints.callback(invoke_without_command=True)
def show_endpoints(context: typer.Context, json: Json = False) -> None:
    """Show each endpoint: URL, tenant, bot, mode, last verify and last event."""
    if context.invoked_subcommand is not None:
        return
    from app.commands import endpoints as command

    command.run(as_json=json)


@endpoints.command("mode")
def set_endpoint_mode(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The endpoint.")],
    mode: Annotated[
        str,
        typer.Argument(
            metavar="live|to_queue|silent",
            help="live: the bot answers. to_queue: new inputs go to agents. silent: nobody answers.",
        ),
    ],
) -> None:
    """The red button: who gets new inputs from now on, without a restart."""
    from app.commands import endpoints_mode as command

    command.run(name, mode)


@app.command()
def deploy() -> None:
    """Deploy the scheduled flows and install the automations in Prefect. `parley up` does it by itself."""
    from app.commands import deploy as command

    raise typer.Exit(command.run())


@app.command()
def export(
    what: Annotated[
        str, typer.Argument(help="conversations, sessions, messages, turns, …: see analytics.md.")
    ],
    since: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Begun since then: 30m, 2h, 3d or a time such as 2026-01-31T12:00Z."),
    ] = None,
    until: Annotated[Optional[str], typer.Option(help="Begun before then.")] = None,  # noqa: UP045
    endpoint: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Only this endpoint's, again for each."),
    ] = None,
    format: Annotated[str, typer.Option(help="csv, jsonl or parquet.")] = "csv",
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Write it there instead of printing it."),
    ] = None,
) -> None:
    """Write the rows of an analytics view to a file, however many there are."""
    from app.commands import export as command

    command.run(name=what, since=since, until=until, endpoints=endpoint or [], format=format, output=output)


@app.command()
def replay(
    endpoint: EndpointName = None,
    since: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Ended dialogs too, begun since then: 30m, 2h, 3d or a time."),
    ] = None,
    json: Json = False,
) -> None:
    """Run stored journals against the bots as they are now, without effects."""
    from app.commands import replay as command

    raise typer.Exit(command.run(endpoint=endpoint, since=since, as_json=json))


Who = Annotated[
    Optional[str],  # noqa: UP045
    typer.Argument(metavar="[ID]", help="Parley's number, the channel's user id or 8x8's conversation id."),
]
Email = Annotated[Optional[str], typer.Option(help="The profile's e-mail address.")]  # noqa: UP045
Phone = Annotated[Optional[str], typer.Option(help="The channel's or the profile's number.")]  # noqa: UP045


@contacts.command("find")
def find_contacts(
    id: Who = None,
    email: Email = None,
    phone: Phone = None,
    endpoint: EndpointName = None,
    json: Json = False,
) -> None:
    """Find contacts by id, e-mail or phone."""
    from app.commands import contacts as command

    command.run_find(command.wanted(id, email, phone, endpoint), as_json=json)


@contacts.command("export")
def export_contacts(
    id: Who = None,
    email: Email = None,
    phone: Phone = None,
    endpoint: EndpointName = None,
    files: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--files", file_okay=False, help="Write their files into this folder."),
    ] = None,
) -> None:
    """Print everything that is stored of contacts, as JSON."""
    from app.commands import contacts as command

    command.run_export(command.wanted(id, email, phone, endpoint), files=files)


@contacts.command("erase")
def erase_contacts(
    id: Who = None,
    email: Email = None,
    phone: Phone = None,
    endpoint: EndpointName = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; there is no way back.")] = False,
) -> None:
    """Erase contacts and every trace of them, in one transaction."""
    from app.commands import contacts as command

    command.run_erase(command.wanted(id, email, phone, endpoint), yes=yes)


@token.command("new")
def new_token(
    scope: Annotated[
        str, typer.Option(help="calls: for /inject and /notify; analytics: for /odata.")
    ] = "calls",
    name: Annotated[str, typer.Option(help="Who has it (analytics).")] = "",
    endpoint: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="What it may read, again for each endpoint; all unless told (analytics)."),
    ] = None,
    days: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Days it is valid; for ever unless told (analytics)."),
    ] = None,
) -> None:
    """Print a token, this once: with its hash for endpoints.yaml, or kept as a hash in the database."""
    if scope == "calls":
        from app.commands import tokens

        tokens.run_token()
        return
    from app.commands import api_tokens

    api_tokens.run_new(scope=scope, name=name or scope, endpoints=endpoint or [], days=days)


@token.command("list")
def list_tokens(json: Json = False) -> None:
    """List the tokens kept in the database."""
    from app.commands import api_tokens

    api_tokens.run_list(as_json=json)


@token.command("revoke")
def revoke_token(id: Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST)]) -> None:
    """End a token kept in the database at once."""
    from app.commands import api_tokens

    api_tokens.run_revoke(id)


@key.command("new")
def new_key() -> None:
    """Print a key for PARLEY_ENCRYPTION_KEY."""
    from app.commands import tokens as command

    command.run_key()


@db.command()
def upgrade() -> None:
    """Bring the tables to this version's."""
    from app.commands import db_upgrade as command

    command.run()


@conversations.command("list")
def list_conversations(endpoint: EndpointName = None, limit: Limit = 50, json: Json = False) -> None:
    """List conversations, those with the newest events first."""
    from app.commands import conversations as command

    command.run_list(endpoint=endpoint, limit=limit, as_json=json)


@conversations.command("show")
def show_conversation(
    id: Annotated[str, typer.Argument(metavar="ID", help="Parley's number or 8x8's id.")],
    json: Json = False,
) -> None:
    """Print a conversation's timeline."""
    from app.commands import conversations as command

    command.run_show(id, as_json=json)


@conversations.command("redrive")
def redrive_conversations(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Parley's numbers or 8x8's ids.")],
) -> None:
    """Handle the inputs of quarantined conversations after all."""
    from app.commands import conversations as command

    command.run_redrive(ids)


@conversations.command("export")
def export_conversation(
    id: Annotated[str, typer.Argument(metavar="ID", help="Parley's number or 8x8's id.")],
    as_scenario: Annotated[
        bool,
        typer.Option("--as-scenario", help="As a file for `parley sandbox play`; there is no other form."),
    ] = True,
    unmasked: Annotated[bool, typer.Option("--unmasked", help="With names, addresses and numbers.")] = False,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Write it there instead of printing it."),
    ] = None,
) -> None:
    """Turn a stored conversation into a scenario, masked, that the sandbox can play again."""
    from app.commands import conversations_export as command

    command.run(id, unmasked=unmasked, output=output)


@deliveries.command("list")
def list_deliveries(
    status: Annotated[
        str, typer.Option(help="dead, waiting, sending, in_doubt, sent, withheld, or all.")
    ] = "dead",
    endpoint: EndpointName = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List deliveries: the dead ones unless told."""
    from app.commands import deliveries as command

    command.run_list(status=status, endpoint=endpoint, limit=limit, as_json=json)


@deliveries.command("redrive")
def redrive_deliveries(
    ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="[ID]...", min=1, max=LARGEST, help="Deliveries, by number."),
    ] = None,
    endpoint: EndpointName = None,
    since: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Those that died since then: 30m, 2h, 3d, or a time such as 2026-01-31T12:00Z."),
    ] = None,
    may_duplicate: Annotated[
        bool, typer.Option("--may-duplicate", help="Also those that may have arrived after all.")
    ] = False,
) -> None:
    """Send dead deliveries after all, last in their conversations' order."""
    from app.commands import deliveries as command

    command.run_redrive(ids=ids or [], endpoint=endpoint, since=since, may_duplicate=may_duplicate)


@handovers.command("list")
def list_handovers(
    endpoint: EndpointName = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    since: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Those asked for since then: 30m, 2h, 3d, or a time such as 2026-01-31T12:00Z."),
    ] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List handovers: queue, outcome, waiting and handling time in seconds, transfers, agents."""
    from app.commands import handovers as command

    command.run_list(endpoint=endpoint, only_open=only_open, since=since, limit=limit, as_json=json)


def main() -> None:
    """Run the command line. What the operator must change is said in a line or two, with exit code 2."""
    try:
        app()
    except ConfigurationError as error:
        print(f"parley: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
