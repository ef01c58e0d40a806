"""`turngate policy`: check, explain, compare and replay policies, and see which were in force.

Everything in this file only reads; `policy_change` puts one in force. Names and rules may come from anywhere:
whatever a terminal might obey is escaped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from auth.ldif_people import read_people
from auth.ldif_records import LdifError
from auth.principal import Insider
from broker.audit.decisions import recorded_decisions
from broker.audit.history import Record
from broker.audit.places import database_url
from broker.audit.query import records_of_type
from broker.audit.reading import NoSuchRecordError, read_only_engine
from broker.cli import policy_change
from broker.cli.options import ConfigFile, Flags, settings_or_exit
from broker.cli.terminal import safe
from broker.policy.asking import AskingError, moment_of, question_asked
from broker.policy.check import findings
from broker.policy.diff import TooManyQuestionsError, diff
from broker.policy.explain import Explanation, explain
from broker.policy.index import PolicyIndex
from broker.policy.replay import Replay, replay
from broker.shell.facts import insider_of
from config.policy.loading import PolicyErrors, load_policy
from config.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyPath = Annotated[
    Path | None, typer.Argument(help="Policy file; the one of the settings by default.", metavar="FILE")
]
At = Annotated[str | None, typer.Option(help="When, in ISO 8601; now by default.", metavar="TIME")]
Answer = TypeVar("Answer")

_policy = typer.Typer(help="Check, explain, compare and replay policies.", no_args_is_help=True)


_policy.command("apply")(policy_change.apply)
_policy.command("rollback")(policy_change.rollback)


def register(app: typer.Typer) -> None:
    app.add_typer(_policy, name="policy")


@_policy.command("check")
def check(
    file: PolicyPath = None,
    config: ConfigFile = None,
    flags: Flags = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Print every mistake and everything that is probably not meant; exit with 1 for mistakes.

    Groups are looked for in the directory when the settings name one."""
    settings = settings_or_exit(config, flags)
    policy = _policy_of(file, settings)
    people = _people(settings)
    groups = frozenset(group for person in people for group in person.groups) if people else None
    found = findings(policy, _moment(at), groups)
    if as_json:
        print(json.dumps({"findings": [finding.to_json() for finding in found]}))
        return
    for finding in found:
        print(safe(f"{finding.kind}: {finding.rule_id}: {finding.sentence}"))
    loaded = policy.loaded
    print(f"revision {loaded.policy.revision}, {len(loaded.policy.rules)} rules, sha256 {loaded.sha256}")


@_policy.command("explain")
def explain_(
    who: Annotated[str, typer.Option("--as", help="Login, or guest or guest:ADDRESS.", metavar="PARTY")],
    action: Annotated[str, typer.Option(help="Such as call.video.")],
    to: Annotated[str | None, typer.Option(help="The counterpart, likewise.", metavar="PARTY")] = None,
    at: At = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Where --as connects from.", metavar="IP")
    ] = None,
    to_source: Annotated[
        str | None, typer.Option("--to-from", help="Where --to connects from.", metavar="IP")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--policy", help="Another policy file.", metavar="FILE")
    ] = None,
    config: ConfigFile = None,
    flags: Flags = None,
    as_json: AsJson = False,
) -> None:
    """Say what the gate would answer, by which rules, and why every other rule did not make the answer."""
    settings = settings_or_exit(config, flags)
    policy = _policy_of(file, settings)
    people = {person.login.reveal().casefold(): person for person in _people(settings)}
    try:
        question = question_asked(
            lambda login: people.get(login.casefold()), who, to, action, _moment(at), source, to_source
        )
    except AskingError as error:
        _give_up(str(error))
    explanation = explain(policy, question)
    print(json.dumps(explanation.to_json()) if as_json else "\n".join(_explained(explanation)))


@_policy.command("diff")
def diff_(
    before: Annotated[Path, typer.Argument(metavar="A")],
    after: Annotated[Path, typer.Argument(metavar="B")],
    config: ConfigFile = None,
    flags: Flags = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Print who may do what under one of two policies and not under the other."""
    settings = settings_or_exit(config, flags)
    policies = _policy_of(before, settings), _policy_of(after, settings)
    try:
        for one in diff(*policies, _people(settings), _moment(at)):
            if as_json:
                print(json.dumps(one.to_json()))
                continue
            zone = f" in zone {one.zone}" if one.zone is not None else ""
            across = f" with {one.across}" if one.across else ""
            like = f" and {one.like_them - 1} like them" if one.like_them > 1 else ""
            rules = ", ".join(one.rules_after or one.rules_before) or "no rule"
            print(
                safe(
                    f"{one.who}{like}{zone} {one.action} {one.direction}{across}: "
                    f"{one.before} -> {one.after} ({rules})"
                )
            )
    except TooManyQuestionsError as error:
        _give_up(str(error))


@_policy.command("replay")
def replay_(
    candidate: Annotated[Path, typer.Option(help="The policy to ask.", metavar="FILE")],
    since: Annotated[str, typer.Option(help="So many days or hours ago: 7d, 12h.", metavar="AGE")] = "7d",
    config: ConfigFile = None,
    flags: Flags = None,
    database: Annotated[str | None, typer.Option(help="Database of the record.", metavar="PATH|URL")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a candidate everything that was asked, and list each verdict that would have been another one."""
    settings = settings_or_exit(config, flags)
    policy = _policy_of(candidate, settings)
    since_ms = int((time.time() - _age_seconds(since)) * 1000)
    outcome = _reading(
        database or database_url(settings),
        lambda connection: replay(policy, recorded_decisions(connection, since_ms)),
    )
    print(json.dumps(outcome.to_json()) if as_json else "\n".join(_replayed(outcome)))


@_policy.command("history")
def history(
    config: ConfigFile = None,
    flags: Flags = None,
    database: Annotated[str | None, typer.Option(help="Database of the record.", metavar="PATH|URL")] = None,
    as_json: AsJson = False,
) -> None:
    """Print which revision came into force when, and by whose doing, and which files were refused."""
    address = database or database_url(settings_or_exit(config, flags))
    for record in _reading(address, lambda connection: list(records_of_type(connection, _HISTORY))):
        if as_json:
            print(json.dumps(record.to_json()))
            continue
        print(safe(_came_into_force(record)))


_HISTORY = ("policy.applied", "policy.refused")


def _came_into_force(record: Record) -> str:
    fields = record.fields
    if record.type == "policy.refused":
        errors = fields.get("errors")
        told = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
        return f"{record.ts} refused {fields.get('sha256')}: {told}"
    who = record.personal.get("administrator.login") or fields.get("by") or ""
    return f"{record.ts} revision {fields.get('revision')} {fields.get('how')} {who} {fields.get('sha256')}"


def _policy_of(file: Path | None, settings: Settings) -> PolicyIndex:
    path = file or settings.policy.file
    if path is None:
        _give_up("name a policy file: the settings have none")
    try:
        return PolicyIndex(load_policy(path.read_bytes(), path.name))
    except OSError as error:
        _give_up(f"{path}: {error.strerror}")
    except PolicyErrors as refused:
        for line in str(refused).splitlines():
            typer.echo(safe(line), err=True)
        raise typer.Exit(1) from None


def _people(settings: Settings) -> list[Insider]:
    """Everybody in the directory; nobody where the settings name none."""
    if settings.directory.ldif_file is None:
        return []
    try:
        content = read_people(settings.directory.ldif_file.read_bytes())
    except (OSError, LdifError) as error:
        _give_up(f"the directory cannot be read: {error}")
    return [insider_of(person.entry) for person in content.by_stable_id.values()]


def _reading(database: str, read: Callable[[Connection], Answer]) -> Answer:
    try:
        with read_only_engine(database).connect() as connection:
            return read(connection)
    except NoSuchRecordError as error:
        _give_up(str(error))
    except SQLAlchemyError as error:
        # Its first line names the fault; the rest is the statement, which helps nobody at a terminal.
        _give_up(f"the database cannot be read: {str(error).partition(chr(10))[0]}")


def _explained(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    yield safe(f"{decision.code.value}: {decision.admin_sentence}")
    for rule in explanation.winning:
        yield safe(f"  made by {rule.id} ({rule.effect.value}; {rule.owner}): {rule.reason}")
    for losing in decision.losing_rules:
        yield safe(f"  not {losing.rule_id}, read for {losing.inside_party}: {losing.condition.value}")
    if decision.losing_rules_omitted:
        yield f"  and {decision.losing_rules_omitted} more"
    if explanation.silence is not None:
        yield safe(f"  {explanation.silence}")
    for name, value in decision.limits.to_json().items():
        if value is not None:
            yield f"  limit {name} {value}"
    for obligation in decision.obligations:
        yield f"  with the obligation {obligation.value}"


def _replayed(outcome: Replay) -> Iterator[str]:
    for change in outcome.changed:
        across = f" with {change.counterpart}" if change.counterpart else ""
        rules = ", ".join(change.rules) or "no rule"
        yield safe(
            f"{change.seq} {change.ts} {change.action} by {change.actor}{across}: "
            f"{change.before_code} -> {change.after_code} ({rules}), decision {change.decision_id}"
        )
    omitted = f" and {outcome.changed_omitted} more" if outcome.changed_omitted else ""
    yield f"{outcome.decided} decisions asked again, {len(outcome.changed)}{omitted} would change"
    for reason, count in sorted(outcome.unreadable.items()):
        yield safe(f"{count} could not be asked again: {reason}")


def _moment(text: str | None) -> int:
    if text is None:
        return int(time.time())
    try:
        return moment_of(text)
    except AskingError as error:
        _give_up(str(error))


def _age_seconds(text: str) -> int:
    unit = {"d": 86_400, "h": 3600, "m": 60, "s": 1}.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or len(text) > 8:
        _give_up(f"not an age such as 7d, 12h or 30m: {text}")
    return int(text[:-1]) * unit


def _give_up(sentence: str) -> NoReturn:
    typer.echo(safe(sentence), err=True)
    raise typer.Exit(1)
