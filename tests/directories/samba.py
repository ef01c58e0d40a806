"""A domain controller of Active Directory's kind: Samba from Debian's packages, LDAP alone. Needs root."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.directories.authority import ServerCertificate
from tests.directories.ldif import Value, change, entry, escaped
from tests.directories.population import MEMBERS, NAMES, PASSWORD, SERVICE_PASSWORD
from tests.directories.server_process import ServerProcess, run

DOMAIN = "ad.example"
BASE = "DC=ad,DC=example"
PEOPLE = f"OU=People,{BASE}"
GROUPS = f"OU=Groups,{BASE}"
SERVICE = f"CN=Turngate,{BASE}"
HOST = f"dc1.{DOMAIN}"

_ADMINISTRATOR = f"administrator@{DOMAIN}"
_ADMINISTRATOR_PASSWORD = "Administrator 0f tests"
_CLAIMED_PORT = 1
_PROVISION_SECONDS = 120.0
_NORMAL, _DISABLED = 512, 514
_TICKS_PER_SECOND = 10_000_000
_EPOCH_SECONDS = 11_644_473_600  # from 1601, where Active Directory's clock begins, to 1970
_NEVER = str(2**63 - 1)

_CONFIGURATION = """
[global]
realm = {domain}
workgroup = AD
netbios name = DC1
server role = active directory domain controller
server services = ldap cldap
interfaces = {address}/8
bind interfaces only = yes
private dir = {directory}/private
state directory = {directory}/state
cache directory = {directory}/cache
lock directory = {directory}/lock
pid directory = {directory}/run
ncalrpc dir = {directory}/ncalrpc
log file = {directory}/samba.log
vfs objects = dfs_samba4 acl_xattr xattr_tdb
tls keyfile = {certificate.key}
tls certfile = {certificate.certificate}
tls cafile = {certificate.authority}
[sysvol]
path = {directory}/sysvol
[netlogon]
path = {directory}/sysvol/scripts
"""


@dataclass(frozen=True)
class Samba:
    """A running domain controller. A change has been made when its method returns, some milliseconds later.

    The ports are Active Directory's own: 389 and 636, and 3268 and 3269 of the global catalogue.
    """

    process: ServerProcess
    address: str
    lockout_threshold: int

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{self.address}"

    def add_user(
        self, login: str, password: str = PASSWORD, *, name: str = "", parent: str = PEOPLE, **more: Value
    ) -> None:
        """Enabled; `more` are other attributes."""
        attributes: dict[str, Value] = {
            "objectClass": "user",
            "sAMAccountName": login,
            "userPrincipalName": f"{login}@{DOMAIN}",
            "displayName": name or login,
            "mail": f"{login}@agency.example",
            "userAccountControl": str(_NORMAL),
            "unicodePwd": _quoted(password),
        }
        self.add(entry(person(login, parent), {**attributes, **more}))

    def add_group(self, name: str) -> None:
        self.add(entry(group_dn(name), {"objectClass": "group", "sAMAccountName": name}))

    def add_members(self, group: str, *dns: str) -> None:
        self.modify(change(group_dn(group), "add", "member", *dns))

    def remove_members(self, group: str, *dns: str) -> None:
        self.modify(change(group_dn(group), "delete", "member", *dns))

    def disable(self, login: str) -> None:
        self.replace(person(login), "userAccountControl", str(_DISABLED))

    def enable(self, login: str) -> None:
        self.replace(person(login), "userAccountControl", str(_NORMAL))

    def expire(self, login: str, *, at: float | None = None) -> None:
        """At this Unix time; a minute ago unless told otherwise."""
        moment = time.time() - 60 if at is None else at
        self.replace(person(login), "accountExpires", filetime(moment))

    def unexpire(self, login: str) -> None:
        self.replace(person(login), "accountExpires", _NEVER)

    def must_change(self, login: str) -> None:
        self.replace(person(login), "pwdLastSet", "0")

    def set_password(self, login: str, password: str) -> None:
        self.replace(person(login), "unicodePwd", _quoted(password))

    def lock(self, login: str) -> None:
        """As a guesser does it: by as many wrong passwords as the domain bears."""
        for _ in range(self.lockout_threshold):
            wrong = ("-x", "-H", self.ldaps_url, "-D", person(login), "-w", "a wrong password")
            run(*_tool("ldapsearch"), *wrong, "-s", "base", "-b", "", expected=(49,))

    def unlock(self, login: str) -> None:
        self.replace(person(login), "lockoutTime", "0")

    def delete(self, dn: str) -> None:
        run(*_tool("ldapdelete"), *self._as_administrator(), dn)

    def rename(self, dn: str, relative_name: str, parent: str) -> None:
        run(*_tool("ldapmodrdn"), *self._as_administrator(), "-r", "-s", parent, dn, relative_name)

    def read(self, dn: str, *attributes: str) -> str:
        """The entry's LDIF, as the administrator sees it."""
        asked = ("-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", dn, "(objectClass=*)", *attributes)
        return run(*_tool("ldapsearch"), *self._as_administrator(), *asked)

    def add(self, ldif: str) -> None:
        run(*_tool("ldapadd"), *self._as_administrator(), text=ldif)

    def modify(self, ldif: str) -> None:
        run(*_tool("ldapmodify"), *self._as_administrator(), text=ldif)

    def replace(self, dn: str, attribute: str, *values: Value) -> None:
        """One attribute's values; none removes it."""
        self.modify(change(dn, "replace", attribute, *values))

    def _as_administrator(self) -> tuple[str, ...]:
        return ("-x", "-H", self.ldaps_url, "-D", _ADMINISTRATOR, "-w", _ADMINISTRATOR_PASSWORD)


@contextmanager
def running_samba(
    directory: Path,
    certificate: Callable[[str], ServerCertificate],
    *,
    lockout_threshold: int = 5,
    lockout_duration_seconds: int = 1800,
) -> Iterator[Samba]:
    """A domain controller that answers, with the population and a user `disabled`, on a loopback address.

    `certificate` makes the server's for the address that was free. Provisioning takes some seconds.
    `directory` has to be empty or not there.
    """
    for name in ("run", "ncalrpc", "sysvol/scripts"):
        (directory / name).mkdir(parents=True)
    claim = _claimed_address()
    address = str(claim.getsockname()[0])
    configuration = directory / "smb.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            domain=DOMAIN, directory=directory, address=address, certificate=certificate(address)
        )
    )
    provision = ("samba-tool", "domain", "provision", f"--configfile={configuration}", f"--realm={DOMAIN}")
    domain = ("--domain=AD", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1")
    secret = f"--adminpass={_ADMINISTRATOR_PASSWORD}"
    run(*provision, *domain, f"--host-ip={address}", secret, seconds=_PROVISION_SECONDS)
    # Alone, in the foreground, in one process.
    command = ("samba", "--interactive", "--model=single", f"--configfile={configuration}")
    process = ServerProcess(command, directory / "samba.out", [(address, 389), (address, 636)])
    server = Samba(process, address, lockout_threshold)
    try:
        process.start()
        _set_password_policy(server, lockout_threshold, lockout_duration_seconds)
        _populate(server)
        yield server
    finally:
        process.kill()
        claim.close()


def person(login: str, parent: str = PEOPLE) -> str:
    """Somebody's DN: `odd` and `robot` of the population have their names in it, the others their logins."""
    name = NAMES[login] if login in ("odd", "robot") else login
    return f"CN={escaped(name)},{parent}"


def group_dn(name: str) -> str:
    return f"CN={name},{GROUPS}"


def filetime(moment: float) -> str:
    """A Unix time as Active Directory writes it: in units of 100 ns since 1601."""
    return str(int((moment + _EPOCH_SECONDS) * _TICKS_PER_SECOND))


def _set_password_policy(server: Samba, lockout_threshold: int, lockout_duration_seconds: int) -> None:
    """Any password will do; so many wrong ones within the duration lock the account for as long."""
    duration = str(-lockout_duration_seconds * _TICKS_PER_SECOND)
    for attribute, value in {
        "pwdProperties": "0",
        "minPwdLength": "0",
        "minPwdAge": "0",
        "pwdHistoryLength": "0",
        "lockoutThreshold": str(lockout_threshold),
        "lockOutObservationWindow": duration,
        "lockoutDuration": duration,
    }.items():
        server.replace(BASE, attribute, value)


def _populate(server: Samba) -> None:
    for unit in (PEOPLE, GROUPS):
        server.add(entry(unit, {"objectClass": "organizationalUnit"}))
    server.add_user("Turngate", SERVICE_PASSWORD, parent=BASE)
    for login, name in {**NAMES, "disabled": "Dan Disabled"}.items():
        server.add_user(login, name=name)
    for group in MEMBERS:
        server.add_group(group)
    for group, members in MEMBERS.items():
        server.add_members(group, *(group_dn(m[1:]) if m.startswith("@") else person(m) for m in members))
    server.disable("disabled")
    server.expire("expired")
    server.must_change("mustchange")
    server.lock("locked")


def _claimed_address() -> socket.socket:
    """A socket on an address of 127/8 of which Active Directory's ports are free; the whole of 127/8 is this
    machine. Until it is closed, nobody else who asks here gets the address."""
    for last in range(1, 255):
        address = f"127.77.0.{last}"
        with suppress(OSError):
            claim = socket.create_server((address, _CLAIMED_PORT))
            with (
                suppress(OSError),
                socket.create_server((address, 389)),
                socket.create_server((address, 636)),
            ):
                return claim
            claim.close()
    raise RuntimeError("no address of 127.77.0.0/24 has the ports 389 and 636 free")


def _tool(name: str) -> tuple[str, ...]:
    """One of ldap-utils that takes any certificate: what the server shows is for the product to judge."""
    return ("env", "LDAPTLS_REQCERT=never", name)


def _quoted(password: str) -> bytes:
    """A value of unicodePwd."""
    return f'"{password}"'.encode("utf-16-le")
