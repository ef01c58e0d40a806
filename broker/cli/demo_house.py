"""The demo's house: a directory of three people, a policy, keys and a certificate, made fresh and thrown
away after."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from auth.passwords import hash_password
from auth.second_factor import account_line, new_secret
from broker.shell.tls import make_demo_certificate
from config.settings import Settings

EXTERNAL_GROUP = "external-communication"
ADMINISTRATORS = {
    "operator": ("operators", "carol"),
    "policy_administrator": ("policy-administrators", "bob"),
    "auditor": ("auditors", "bob"),
}
"""The group of each role at the admin listener, and who of the demo's people is in it."""
DEMO_DAYS = 7
PREFERRED_PORTS = {"inside": 8443, "outside": 9443, "admin": 7443}
RELAY_PORT = 3478


@dataclass(frozen=True, slots=True)
class DemoPerson:
    login: str
    name: str
    password: str
    may_invite: bool


@dataclass(frozen=True, slots=True)
class DemoHouse:
    """`ca_file` is what clients of the demo must trust."""

    settings: Settings
    people: tuple[DemoPerson, ...]
    ca_file: Path
    second_factors: dict[str, str]
    """The secret of each administrator's, by login."""
    break_glass: tuple[str, str]
    """Name and password of the account for when nobody else can sign in."""


def make_house(folder: Path, address: str) -> DemoHouse:
    """Write everything the demo's edge needs into `folder`, listening on `address`."""
    ldif_file, policy_file = folder / "people.ldif", folder / "policy.toml"
    people = write_people(ldif_file)
    write_policy(policy_file)
    certificate_file, key_file = make_demo_certificate(folder, [address, "localhost"])
    listeners = {
        name: {"address": address, "port": port, "origin": f"https://{address}:{port}"}
        for name, port in ((name, _free_port(address, port)) for name, port in PREFERRED_PORTS.items())
    }
    for name in ("inside", "outside"):
        listeners[name]["relay_host"] = address
    second_factors = {login: new_secret() for _, login in ADMINISTRATORS.values()}
    break_glass = ("safe", secrets.token_urlsafe(9))
    listeners["admin"] |= {
        **{f"{role}_group": group for role, (group, _) in ADMINISTRATORS.items()},
        "second_factors": [account_line(*enrolled) for enrolled in second_factors.items()],
        "break_glass_account": f"{break_glass[0]}:{hash_password(break_glass[1])}",
    }
    host = f"[{address}]" if ":" in address else address
    settings = Settings.model_validate(
        {
            "data_directory": folder / "data",
            **listeners,
            "tls": {"certificate_file": certificate_file, "private_key_file": key_file},
            "directory": {"ldif_file": ldif_file},
            "policy": {"file": policy_file},
            # Its certificate is good for a week: that is no reason to call anybody.
            "alarms": {"certificate_days": 1},
            "invitations": {"secret": secrets.token_urlsafe(32)},
            "relay": {
                "listen": [
                    f"udp://{host}:{_free_port(address, RELAY_PORT, socket.SOCK_DGRAM)}",
                    f"tcp://{host}:{_free_port(address, RELAY_PORT)}",
                ],
                "secrets": [secrets.token_urlsafe(32)],
            },
        }
    )
    return DemoHouse(settings, people, certificate_file, second_factors, break_glass)


def _free_port(address: str, preferred: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """The preferred port, or another one where something else already listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in (preferred, 0):
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind is socket.SOCK_STREAM)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port is free on {address}")


def write_people(ldif_file: Path) -> tuple[DemoPerson, ...]:
    """Three insiders with fresh passwords, two of whom may deal with outsiders."""
    people = tuple(
        DemoPerson(login, name, secrets.token_urlsafe(9), may_invite)
        for login, name, may_invite in (
            ("alice", "Alice Archer", True),
            ("bob", "Bob Baker", True),
            ("carol", "Carol Clerk", False),
        )
    )
    ldif_file.write_text(_ldif(people))
    ldif_file.chmod(0o600)
    return people


def write_policy(policy_file: Path) -> None:
    """Colleagues may do everything, members of one group may invite guests, for a week."""
    policy_file.write_text(_policy(datetime.now(UTC).date() + timedelta(days=DEMO_DAYS)))


def _ldif(people: tuple[DemoPerson, ...]) -> str:
    base = "dc=demo,dc=turngate,dc=example"
    entries = ["version: 1", *(_ldif_person(person, base) for person in people)]
    entries.append(_ldif_group(EXTERNAL_GROUP, [p.login for p in people if p.may_invite], base))
    entries += [_ldif_group(group, [login], base) for group, login in ADMINISTRATORS.values()]
    return "\n\n".join(entries) + "\n"


def _ldif_group(name: str, logins: list[str], base: str) -> str:
    members = [f"member: uid={login},ou=people,{base}" for login in logins]
    return "\n".join(
        [f"dn: cn={name},ou=groups,{base}", "objectClass: groupOfNames", f"cn: {name}", *members]
    )


def _ldif_person(person: DemoPerson, base: str) -> str:
    return (
        f"dn: uid={person.login},ou=people,{base}\n"
        "objectClass: inetOrgPerson\n"
        f"uid: {person.login}\n"
        f"entryUUID: {uuid4()}\n"
        f"cn: {person.name}\n"
        f"sn: {person.name.split()[-1]}\n"
        f"userPassword: {hash_password(person.password)}"
    )


def _policy(expires: date) -> str:
    return f"""revision = 1

[[rules]]
id = "signin"
effect = "allow"
who = {{ any = true }}
actions = ["edge.signin"]
owner = "demo"
reason = "Everyone in the directory may use the edge."

[[rules]]
id = "colleagues"
effect = "allow"
who = {{ any = true }}
with = {{ kind = "insider" }}
direction = "both"
actions = ["presence.see", "chat.send", "call.audio", "call.video", "screen.share"]
owner = "demo"
reason = "People inside talk to each other."

[[rules]]
id = "guests"
effect = "allow"
who = {{ groups = ["{EXTERNAL_GROUP}"] }}
with = {{ kind = "guest" }}
direction = "both"
actions = [
    "guest.invite", "edge.join", "guest.admit",
    "presence.see", "chat.send", "call.audio", "call.video", "screen.share",
]
presence = "folded"
expires = {expires.isoformat()}
owner = "demo"
reason = "Those who deal with outsiders do so through the edge."
limits = {{ minutes = 120 }}
"""
