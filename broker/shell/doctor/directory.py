"""Directory: each of its servers by itself, one after the other, as if it were the only one."""

from __future__ import annotations

import ssl
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auth.directory import EntryState
from auth.ldap_link import LdapServer, verifying_context
from auth.ldap_schema import schema_of
from broker.shell.doctor.clock import judge_against_directory
from broker.shell.doctor.directory_facts import ContentFacts, ask_server
from broker.shell.doctor.directory_groups import (
    judge_groups,
    judge_membership,
    judge_nested,
    judge_policy_groups,
    judge_roles,
)
from broker.shell.doctor.directory_lockout import judge_lockout
from broker.shell.doctor.directory_people import (
    PeopleFacts,
    Refused,
    judge_disabled,
    judge_login,
    judge_people,
)
from broker.shell.doctor.directory_reach import judge_reach, refused_password
from broker.shell.doctor.finding import Finding, ill
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the directory is asked about besides everybody."""

    roles: Mapping[str, str]
    """Groups by the setting that names them."""
    policy_groups: Sequence[str] = ()
    zone_attributes: Collection[str] = ()
    """Attributes that zones of the policy look at."""
    login: str | None = None


def examine_servers(settings: Settings, wanted: Wanted) -> Iterator[Finding]:
    """Blocks while it asks; bounded for each server. Where one refuses the service account's password, no
    other is sent it: the directory would lock the account."""
    ldap = settings.ldap
    if None in (ldap.bind_dn, ldap.bind_password, ldap.people_base, ldap.groups_base):
        return  # told with the settings
    try:
        context = verifying_context(ldap.ca_file)
    except (OSError, ssl.SSLError):
        return  # told with the settings
    kind, spare_bind = settings.directory.kind, False
    groups = list(dict.fromkeys((*wanted.roles.values(), *wanted.policy_groups)))
    for where in map(LdapServer.at, ldap.servers):
        server = f"directory {where}"
        reach, contents = ask_server(where, kind, ldap, context, groups, wanted.login, spare_bind=spare_bind)
        yield from judge_reach(server, reach, time.time(), settings.alarms.certificate_days)
        spare_bind = spare_bind or refused_password(reach)
        if contents is not None:
            yield from judge_contents(server, contents, settings, wanted)
            if contents.login is not None:
                wanted = replace(wanted, login=None)


def judge_contents(
    server: str, contents: ContentFacts, settings: Settings, wanted: Wanted
) -> Iterator[Finding]:
    """What the answers of one server mean, as far as they came."""
    ldap, kind = settings.ldap, settings.directory.kind
    login_attribute = ldap.login_attribute or schema_of(kind, ldap).login_attribute
    if contents.ahead_seconds is not None:
        yield judge_against_directory(f"{server}: clock", contents.ahead_seconds)
    if (people := contents.people) is not None:
        yield from judge_people(server, people, ldap.people_base or "", login_attribute)
    if isinstance(people, PeopleFacts) and people.count and contents.disabled is not None:
        yield judge_disabled(server, contents.disabled, people.states.get(EntryState.DISABLED, 0))
    if (groups := contents.groups) is not None:
        yield from judge_groups(server, groups, ldap.groups_base or "")
    if groups is not None and not isinstance(groups, Refused) and groups.count:
        yield from _judge_members(server, contents, settings)
    if isinstance(contents.named, dict):
        yield from judge_roles(f"{server}: roles", wanted.roles, contents.named)
        in_rules = {group: contents.named[group] for group in wanted.policy_groups}
        yield judge_policy_groups(f"{server}: groups of the policy", in_rules)
    if contents.lockout is not None:
        policies = None if isinstance(contents.lockout, Refused) else contents.lockout
        yield judge_lockout(server, policies, settings.sign_in, ldap.lockout_threshold)
    if contents.login is not None:
        yield judge_login(f"{server}: login {wanted.login}", contents.login, wanted.zone_attributes)
    if contents.broke_off is not None:
        yield ill(
            server,
            f"There is no further answer: {contents.broke_off}.",
            "See the server's log, and raise ldap.timeout_seconds if it is slow.",
        )


def _judge_members(server: str, contents: ContentFacts, settings: Settings) -> Iterator[Finding]:
    if contents.membership is not None:
        yield judge_membership(server, contents.membership)
    follows = contents.follows_chains
    if contents.broke_off is None:
        follows_chains = None if isinstance(follows, Refused) else follows
        mode = settings.ldap.nested_groups
        yield judge_nested(server, contents.nested, mode, follows_chains=follows_chains)
