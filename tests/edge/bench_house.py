"""The house of the bench: people, policy, keys and free loopback ports, fresh in a folder of the test's."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Self
from uuid import NAMESPACE_DNS, uuid5

from auth.passwords import hash_password
from auth.second_factor import account_line
from broker.shell.tls import make_demo_certificate
from config.settings import Settings

LOCAL = "127.0.0.1"
PEOPLE = {
    "alice": ("Alice Archer", ""),
    "bob": ("Bob Baker", ""),
    "carol": ("Carol Clerk", ""),
    "dora": ("Dora Disabled", "loginDisabled: TRUE\n"),
    "lena": ("Lena Locked", "pwdAccountLockedTime: 20260101000000Z\n"),
}
MAY_INVITE = ("alice", "bob")
GROUPS = {
    "external-communication": MAY_INVITE,
    "operators": ("carol",),
    "policy-administrators": ("bob", "carol"),
    "auditors": ("bob",),
}
ADMINISTRATION = {
    "operator_group": "operators",
    "policy_administrator_group": "policy-administrators",
    "auditor_group": "auditors",
}
SECOND_FACTORS = {login: f"{login.upper():A<32}" for login in ("alice", "bob", "carol")}
GUEST_NAME = "Grace Guest"

POLICY = """revision = 1
[[rules]]
id = "signin"
effect = "allow"
who = { any = true }
actions = ["edge.signin"]
owner = "test"
reason = "test"
[[rules]]
id = "colleagues"
effect = "allow"
who = { any = true }
with = { kind = "insider" }
direction = "both"
actions = ["presence.see", "chat.send", "call.audio", "call.video", "screen.share"]
owner = "test"
reason = "test"
[[rules]]
id = "guests"
effect = "allow"
who = { groups = ["external-communication"] }
with = { kind = "guest" }
direction = "both"
actions = ["guest.invite", "edge.join", "guest.admit",
           "presence.see", "chat.send", "call.audio", "call.video", "screen.share"]
presence = "exact"
expires = 2999-12-31
owner = "test"
reason = "test"
"""

NO_CHAT = """
[[rules]]
id = "no-chat"
effect = "deny"
who = { any = true }
with = { kind = "any" }
direction = "both"
actions = ["chat.send"]
owner = "test"
reason = "test"
"""

NO_SHARING = NO_CHAT.replace("no-chat", "no-sharing").replace("chat.send", "screen.share")


@cache
def _hash(password: str) -> str:
    return hash_password(password)


def password_of(login: str) -> str:
    """Made up for the tests: long enough that it is found wherever it does not belong."""
    return f"canary-password-of-{login}"


@dataclass(frozen=True)
class BenchHouse:
    """`settings` belong to this test alone; `restarted` gives the same house with another policy or place."""

    folder: Path
    settings: Settings
    ca_file: Path
    steps: Iterator[int] = field(default_factory=lambda: count(1))
    """Of the clock by which codes are checked, one for each sign-in of an administrator."""

    @property
    def database(self) -> Path:
        return self.settings.data_directory / "turngate.sqlite"

    def with_host_name(self) -> Self:
        """The same house, where administrators reach the console by a name instead of an address."""
        admin = self.settings.admin
        named = admin.model_copy(update={"origin": f"https://localhost:{admin.port}"})
        return replace(self, settings=self.settings.model_copy(update={"admin": named}))

    def under_policy(self, policy: str) -> Self:
        """The same house once its administrator has written another policy."""
        (self.folder / "policy.toml").write_text(policy)
        return self


def with_house(folder: Path, *, policy: str = POLICY, **gateway: float) -> BenchHouse:
    """Write everything an edge needs into `folder`; keyword arguments change the [gateway] settings."""
    certificate_file, key_file = make_demo_certificate(folder, [LOCAL, "localhost"])
    (folder / "people.ldif").write_text(_ldif())
    (folder / "people.ldif").chmod(0o600)
    (folder / "policy.toml").write_text(policy)
    listeners = {
        name: {"address": LOCAL, "port": port, "origin": f"https://{LOCAL}:{port}"}
        for name, port in zip(("inside", "outside", "admin"), _free_ports(3), strict=True)
    }
    enrolled = [account_line(*one) for one in SECOND_FACTORS.items()]
    listeners["admin"] |= {**ADMINISTRATION, "second_factors": enrolled}
    settings = Settings.model_validate(
        {
            "data_directory": folder / "data",
            **listeners,
            "tls": {"certificate_file": certificate_file, "private_key_file": key_file},
            "directory": {"ldif_file": folder / "people.ldif"},
            "policy": {"file": folder / "policy.toml"},
            # Its certificate is good for a week: that is no alarm here.
            "alarms": {"certificate_days": 1},
            "invitations": {"secret": secrets.token_urlsafe(32)},
            "relay": {"listen": [f"udp://{LOCAL}:0"], "secrets": [secrets.token_urlsafe(32)]},
        }
    )
    # Not validated: a test may want a heartbeat or a queue below what an administrator may set.
    changed = settings.gateway.model_copy(update=gateway)
    return BenchHouse(folder, settings.model_copy(update={"gateway": changed}), certificate_file)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOCAL, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _ldif() -> str:
    base = "dc=test,dc=turngate,dc=example"
    people = [
        f"dn: uid={login},ou=people,{base}\nobjectClass: inetOrgPerson\nuid: {login}\n"
        f"entryUUID: {uuid5(NAMESPACE_DNS, login)}\ncn: {name}\nsn: {name.split()[-1]}\n{more}"
        f"userPassword: {_hash(password_of(login))}"
        for login, (name, more) in PEOPLE.items()
    ]
    groups = [
        "\n".join(
            [
                f"dn: cn={name},ou=groups,{base}\nobjectClass: groupOfNames\ncn: {name}",
                *(f"member: uid={login},ou=people,{base}" for login in members),
            ]
        )
        for name, members in GROUPS.items()
    ]
    return "\n\n".join(["version: 1", *people, *groups]) + "\n"
