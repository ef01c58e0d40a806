"""`turngate audit`: questions to the record, and its verification, in a process of their own on a read-only
connection.

Names, reasons and addresses in the record were written by strangers: whatever a terminal might obey is
escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from broker.audit.checkpoint import CheckpointError, SigningKey, VerifierKey
from broker.audit.heads_file import read_heads
from broker.audit.history import Party, Record, Summary
from broker.audit.places import NODE, database_url, heads_file, signing_key_file
from broker.audit.query import Filters, QueryError, list_sessions, show_session
from broker.audit.reading import NoSuchRecordError, read_only_engine
from broker.audit.verify import Verification, verify
from broker.cli.options import ConfigFile, Flags, settings_or_exit
from broker.cli.terminal import safe

Database = Annotated[
    str | None,
    typer.Option(
        "--database", help="Database of the record; from the settings by default.", metavar="PATH|URL"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

_audit = typer.Typer(help="Ask the record, and verify it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(_audit, name="audit")


@_audit.command("list")
def list_(
    config: ConfigFile = None,
    flags: Flags = None,
    database: Database = None,
    person: Annotated[str | None, typer.Option(help="Login or name of somebody in it.")] = None,
    address: Annotated[str | None, typer.Option(help="IP address of somebody in it.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Still open then, or opened later.", metavar="TIME")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Opened before then.", metavar="TIME")] = None,
    session: Annotated[str | None, typer.Option(help="Its id.", metavar="ID")] = None,
    of_type: Annotated[
        str | None, typer.Option("--type", help="connection, call, visit, or a type of record it has.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List external connections, newest first. A TIME is ISO 8601, in UTC unless it says otherwise."""
    filters = Filters(person, address, _milliseconds(since), _milliseconds(until), session, of_type, limit)
    with _reading(config, flags, database) as connection:
        for summary in list_sessions(connection, filters):
            print(json.dumps(summary.to_json()) if as_json else "\n".join(_summary_lines(summary)))


@_audit.command("show")
def show(
    session: Annotated[str, typer.Argument(help="Id of a connection, call or visit.", metavar="SESSION")],
    config: ConfigFile = None,
    flags: Flags = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Show one connection with all its records in order."""
    with _reading(config, flags, database) as connection:
        shown = show_session(connection, session)
    if shown is None:
        _give_up("no record is about this session")
    summary, history = shown
    if as_json:
        print(json.dumps(summary.to_json() | {"records": [record.to_json() for record in history]}))
        return
    for line in (*_summary_lines(summary), *(line for record in history for line in _record_lines(record))):
        print(line)


@_audit.command("verify")
def verify_(
    config: ConfigFile = None,
    flags: Flags = None,
    database: Database = None,
    public_key: Annotated[
        str | None,
        typer.Option(help="As `audit key` prints it; from the settings by default.", metavar="KEY"),
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option(
            help="File of signed heads that left the host; from the settings by default.", metavar="FILE"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the whole record; exit with 1 and name the first bad record if it was altered."""
    try:
        key = VerifierKey.parse(public_key) if public_key is not None else _key_of(config, flags)
        if heads is None and database is None:
            heads = _if_there(heads_file(settings_or_exit(config, flags)))
        with _reading(config, flags, database) as connection:
            found = verify(connection, key, read_heads(heads) if heads is not None else ())
    except (CheckpointError, OSError) as error:
        _give_up(str(error))
    if heads is None:
        typer.echo("no file of heads: a cut-off end whose heads were cut off too cannot be seen", err=True)
    print(json.dumps(asdict(found)) if as_json else _verdict(found))
    if not found.ok:
        raise typer.Exit(1)


@_audit.command("key")
def key_(config: ConfigFile = None, flags: Flags = None) -> None:
    """Print the public key that verifies this edge's record."""
    try:
        print(_key_of(config, flags))
    except (CheckpointError, OSError) as error:
        _give_up(str(error))


def _key_of(config: Path | None, flags: list[str] | None) -> VerifierKey:
    return SigningKey.load(NODE, signing_key_file(settings_or_exit(config, flags))).verifier


def _if_there(file: Path) -> Path | None:
    return file if file.exists() else None


@contextmanager
def _reading(config: Path | None, flags: list[str] | None, database: str | None) -> Iterator[Connection]:
    try:
        with read_only_engine(
            database or database_url(settings_or_exit(config, flags))
        ).connect() as connection:
            yield connection
    except (NoSuchRecordError, QueryError) as error:
        _give_up(str(error))
    except SQLAlchemyError as error:
        # Its first line names the fault; the rest is the statement, which helps nobody at a terminal.
        _give_up(f"the database cannot be read: {str(error).partition(chr(10))[0]}")


def _give_up(sentence: str) -> NoReturn:
    typer.echo(safe(sentence), err=True)
    raise typer.Exit(1)


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        _give_up(f"not a time in ISO 8601: {text}")
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _summary_lines(summary: Summary) -> Iterator[str]:
    reach = {True: "external", False: "internal", None: ""}[summary.external]
    end = f"{summary.end} ({summary.end_reason})" if summary.end else "open"
    span = f"{summary.opened_at or '?'} to {summary.closed_at or '-'}"
    yield safe(f"{summary.kind or 'session'} {summary.session_id} {reach} {span}: {end}")
    for party in summary.parties:
        yield safe(f"    {_party(party)}")
    if summary.rules:
        rules, decisions = ", ".join(summary.rules), ", ".join(summary.decisions)
        yield safe(f"    allowed by {rules} of policy {summary.policy_revision} (decision {decisions})")
    if summary.bytes:
        yield safe(f"    bytes {_each_way(summary.bytes)}; packets {_each_way(summary.packets)}")


def _party(party: Party) -> str:
    known = (
        party.login,
        party.name and f'"{party.name}"',
        party.party and f"[{party.party}]",
        *party.addresses,
    )
    return " ".join([party.role, *(part for part in known if part)])


def _each_way(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{way} {count}" for way, count in counts.items())


def _record_lines(record: Record) -> Iterator[str]:
    told = record.to_json()
    yield safe(f"  {record.seq} {record.ts} {record.type}: {told['sentence']}")
    for name, value in record.personal.items():
        yield safe(f"      {name}: {value if value is not None else '(redacted)'}")
    if record.fields:
        yield safe(f"      {json.dumps(record.fields)}")


def _verdict(found: Verification) -> str:
    redacted = f"; {found.redacted} personal values are redacted" if found.redacted else ""
    if found.ok:
        return f"sound: all {found.records} records are as they were signed{redacted}"
    named = (
        f"first bad record: {found.first_bad_seq}" if found.first_bad_seq is not None else "no record is bad"
    )
    return f"NOT SOUND, {named}\n{safe(found.problem)}\nproven: records 1 to {found.proven}"
