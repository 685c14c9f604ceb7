"""The commands that keep accounts and tokens, and the one that shows what was done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from opencram.errors import InputError

Role = Literal["viewer", "operator", "admin"]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, '.', '_' and '-'.")]
RoleOption = Annotated[Role, typer.Option(help="A viewer sees everything, an operator acts, an admin reads the log.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Holds the password in its first line; asked on the terminal when not given."),
]

users = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Who may sign in to the service.",
    epilog="Example: opencram users add ann --role admin",
)
tokens = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="What machines show to the service.",
    epilog="Example: opencram tokens list",
)


@users.command("add", epilog="Example: opencram users add ann --role admin")
def add_user(name: Name, role: RoleOption, password_file: PasswordFile = None) -> None:
    """Add a user. A running service knows at once."""
    from opencram.serve.access import accounts as kept
    from opencram.serve.secrets import secrets_folder

    given = _password(password_file)
    with kept.changing(secrets_folder()) as accounts:
        kept.add_user(accounts, name, role, given)
    typer.echo(f"{name} may sign in as {role}.")


@users.command("password", epilog="Example: opencram users password ann")
def password(name: Name, password_file: PasswordFile = None) -> None:
    """Change a user's password. All his sessions end."""
    from opencram.serve.access import accounts as kept
    from opencram.serve.secrets import secrets_folder

    kept.read_accounts(secrets_folder()).user(name)
    given = _password(password_file)
    with kept.changing(secrets_folder()) as accounts:
        kept.set_password(accounts, name, given)
    typer.echo(f"The password of {name} is changed; all sessions of {name} have ended.")


@users.command("role", epilog="Example: opencram users role ann operator")
def role(name: Name, role: Annotated[Role, typer.Argument(metavar="viewer|operator|admin")]) -> None:
    """Change a user's role. All his sessions end."""
    from opencram.serve.access import accounts as kept
    from opencram.serve.secrets import secrets_folder

    with kept.changing(secrets_folder()) as accounts:
        kept.set_role(accounts, name, role)
    typer.echo(f"{name} is {role} now; all sessions of {name} have ended.")


@users.command("remove", epilog="Example: opencram users remove ann")
def remove_user(name: Name) -> None:
    """Take a user away. All his sessions end."""
    from opencram.serve.access import accounts as kept
    from opencram.serve.secrets import secrets_folder

    with kept.changing(secrets_folder()) as accounts:
        kept.remove_user(accounts, name)
    typer.echo(f"{name} may no longer sign in.")


@users.command("list")
def list_users() -> None:
    """List the users and their roles."""
    from opencram.serve.access.accounts import read_accounts
    from opencram.serve.secrets import secrets_folder
    from opencram.terminal import print_rows

    found = read_accounts(secrets_folder()).users
    print_rows("Users", ["user", "role", "since"], [[n, u.role, _day(u.added_s)] for n, u in sorted(found.items())])


@tokens.command("add", epilog="Example: opencram tokens add prometheus --role viewer --days 365")
def add_token(
    name: Name,
    role: RoleOption,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, metavar="N", help="It lasts so long; until revoked when not given.")
    ] = None,
) -> None:
    """Make a token and print it, once: it is kept nowhere."""
    from opencram.serve.access import accounts as kept
    from opencram.serve.secrets import secrets_folder

    with kept.changing(secrets_folder()) as accounts:
        text = kept.add_token(accounts, name, role, days)
    typer.echo(text)


@tokens.command("list")
def list_tokens() -> None:
    """List the tokens, their roles and until when they last; the one that the service makes for this machine too."""
    from opencram.serve.access.accounts import Book
    from opencram.serve.secrets import secrets_folder
    from opencram.terminal import print_rows

    book = Book(secrets_folder())
    book.look()
    if book.fault:
        raise InputError(book.fault)
    rows = [
        [name, token.role, _day(token.added_s), _day(token.expires_s) if token.expires_s else "revoked"]
        for name, token in sorted(book.accounts.tokens.items())
    ]
    print_rows("Tokens", ["token", "role", "since", "until"], rows)


@tokens.command("revoke", epilog="Example: opencram tokens revoke prometheus")
def revoke_token(name: Name) -> None:
    """Make a token worthless, at once. For `operator` the service makes another when it starts."""
    from opencram.serve.access import accounts as kept
    from opencram.serve.secrets import secrets_folder

    folder = secrets_folder()
    with kept.changing(folder) as accounts:
        kept.revoke_token(accounts, name, folder)
    typer.echo(f"The token {name} is worthless now.")


def audit(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A built-in site or a site's YAML file.")],
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The service's folder, where it has another than the site's.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, metavar="N", help="So many of the last lines.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are kept, JSON each.")] = False,
) -> None:
    """Show who did what, from where and with which result, at the service of a site on this machine."""
    import msgspec

    from opencram.serve.access.audit import FILE, read_audit
    from opencram.serve.start import state_folder
    from opencram.site import load_site
    from opencram.terminal import print_rows

    lines = list(read_audit((record or state_folder(load_site(site).name)) / FILE, last))
    if as_json:
        for line in lines:
            typer.echo(msgspec.json.encode(line).decode())
        return
    rows = [[x.time, x.who or "nobody", x.address, f"{x.what} {x.target}".strip(), x.result, x.why] for x in lines]
    print_rows("What was done", ["time (UTC)", "who", "from", "what", "result", "why"], rows)


def _password(path: Path | None) -> str:
    """The first line of a file that its owner alone may read, or what is typed twice. No argument: `ps` shows it."""
    import stat
    import sys

    if path is None:
        if not sys.stdin.isatty():
            raise InputError("password: found no terminal to ask for it, expected one or --password-file FILE")
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            line = file.readline(2_000).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise InputError(f"--password-file: found {path}, which cannot be read ({reason})") from None
    if path.is_file() and mode & 0o077:
        raise InputError(f"{path}: found mode {mode:o}, expected 600: others on this machine can read the password")
    return line


def _day(time_s: int) -> str:
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(time_s))
