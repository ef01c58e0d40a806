"""OpenLDAP's slapd from Debian's package, run as a process of the test's own with a small population."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.directories.authority import ServerCertificate
from tests.directories.ldif import change, entry, escaped, hashed
from tests.directories.population import MEMBERS, NAMES, PASSWORD, SERVICE_PASSWORD
from tests.directories.server_process import ServerProcess, free_port, run

BASE = "dc=agency,dc=example"
PEOPLE = f"ou=people,{BASE}"
BRANCH = f"ou=branch,{BASE}"
GROUPS = f"ou=groups,{BASE}"
SERVICE = f"cn=turngate,ou=services,{BASE}"
_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
moduleload refint
pidfile {directory}/slapd.pid
argsfile {directory}/slapd.args
sizelimit size.soft={size_limit} size.hard={size_limit} size.prtotal=unlimited
{tls}
database mdb
suffix "{base}"
rootdn "gidNumber={gid}+uidNumber={uid},cn=peercred,cn=external,cn=auth"
directory {directory}/data
maxsize 268435456
dbnosync
index objectClass,uid,member,memberOf,entryUUID,mail eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by anonymous auth by * none
{member_of}
overlay refint
refint_attributes member
refint_nothing "cn=nobody,{base}"
overlay ppolicy
ppolicy_default "cn=default,ou=policies,{base}"
ppolicy_use_lockout
"""


@dataclass(frozen=True)
class Slapd:
    """A running server. Changes are made as its root, over a socket in its directory."""

    process: ServerProcess
    url: str
    ldaps_url: str
    port: int
    ldaps_port: int
    admin_url: str

    def add(self, ldif: str) -> None:
        run("ldapadd", *self._as_root(), text=ldif)

    def modify(self, ldif: str) -> None:
        run("ldapmodify", *self._as_root(), text=ldif)

    def replace(self, dn: str, attribute: str, *values: str) -> None:
        """One attribute's values; none removes it."""
        self.modify(change(dn, "replace", attribute, *values))

    def delete(self, dn: str) -> None:
        run("ldapdelete", *self._as_root(), dn)

    def rename(self, dn: str, relative_name: str, parent: str) -> None:
        run("ldapmodrdn", *self._as_root(), "-r", "-s", parent, dn, relative_name)

    def read(self, dn: str, *attributes: str) -> str:
        """The entry's LDIF, as root; operational attributes only when they are named."""
        return run(
            "ldapsearch",
            *self._as_root(),
            "-LLL",
            "-o",
            "ldif-wrap=no",
            "-s",
            "base",
            "-b",
            dn,
            *("(objectClass=*)", *attributes),
        )

    def add_people(self, *logins: str) -> None:
        """These people more, all with one hash of PASSWORD."""
        secret = hashed(PASSWORD)
        self.add("".join(_person(login, f"Person {login}", PEOPLE, secret) for login in logins))

    def set_password(self, dn: str, password: str) -> None:
        """To stay: the server would have a password of an administrator's changed at once."""
        self.modify(
            change(dn, "replace", "userPassword", hashed(password)) + change(dn, "replace", "pwdReset")
        )

    def lock(self, dn: str) -> None:
        """As an administrator locks an account: until it is unlocked."""
        self.replace(dn, "pwdAccountLockedTime", "000001010000Z")

    def unlock(self, dn: str) -> None:
        self.replace(dn, "pwdAccountLockedTime")

    def add_member(self, group: str, dn: str) -> None:
        self.modify(change(group_dn(group), "add", "member", dn))

    def remove_member(self, group: str, dn: str) -> None:
        """A group needs one member at least: the last cannot be removed."""
        self.modify(change(group_dn(group), "delete", "member", dn))

    def _as_root(self) -> tuple[str, ...]:
        return ("-Q", "-Y", "EXTERNAL", "-H", self.admin_url)


@contextmanager
def running_slapd(
    directory: Path,
    certificate: ServerCertificate | None = None,
    *,
    address: str = "127.0.0.1",
    size_limit: int = 500,
    max_failures: int = 5,
    failure_count_interval_seconds: int = 0,
    lockout_duration_seconds: int = 0,
    tls_required: bool = False,
    keeps_member_of: bool = True,
) -> Iterator[Slapd]:
    """A server that answers, with the population, and beside it:

    `early`, whose password becomes valid in 2099, and `twin`, a login that both PEOPLE and BRANCH have.
    With a certificate it speaks ldaps and StartTLS; `tls_required` refuses a simple bind without them with
    confidentialityRequired (13). An interval or duration of 0 means for ever. Without `keeps_member_of`
    nobody's entry says which groups list it.
    `directory` has to be empty or not there.
    """
    (directory / "data").mkdir(parents=True)
    port, ldaps_port = free_port(address), free_port(address)
    configuration = directory / "slapd.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            directory=directory,
            base=BASE,
            service=SERVICE,
            size_limit=size_limit,
            uid=os.geteuid(),
            gid=os.getegid(),
            tls=_tls(certificate, tls_required=tls_required),
            member_of="overlay memberof\nmemberof-refint TRUE" if keeps_member_of else "",
        )
    )
    population = directory / "population.ldif"
    policy = (max_failures, failure_count_interval_seconds, lockout_duration_seconds)
    population.write_text(_population(*policy))
    admin_url = "ldapi://" + quote(str(directory / "ldapi"), safe="")
    urls = [f"ldap://{address}:{port}", admin_url]
    listens_on = [(address, port)]
    if certificate is not None:
        urls.append(f"ldaps://{address}:{ldaps_port}")
        listens_on.append((address, ldaps_port))
    command = ("slapd", "-d", "0", "-f", str(configuration), "-h", " ".join(urls))
    process = ServerProcess(command, directory / "slapd.log", listens_on)
    server = Slapd(
        process, f"ldap://{address}:{port}", f"ldaps://{address}:{ldaps_port}", port, ldaps_port, admin_url
    )
    try:
        process.start()
        server.add(population.read_text())
        server.lock(person("locked"))
        server.replace(person("mustchange"), "pwdReset", "TRUE")
        server.replace(person("expired"), "pwdEndTime", "20200101000000Z")
        server.replace(person("early"), "pwdStartTime", "20990101000000Z")
        yield server
    finally:
        process.kill()


def person(login: str, parent: str = PEOPLE) -> str:
    """Somebody's DN: `odd` and `robot` of the population have their names in it, the others their logins."""
    if login in ("odd", "robot"):
        return f"cn={escaped(NAMES[login])},{parent}"
    return f"uid={login},{parent}"


def group_dn(name: str) -> str:
    return f"cn={name},{GROUPS}"


def _tls(certificate: ServerCertificate | None, *, tls_required: bool) -> str:
    if certificate is None:
        return ""
    lines = [
        f"TLSCACertificateFile {certificate.authority}",
        f"TLSCertificateFile {certificate.certificate}",
        f"TLSCertificateKeyFile {certificate.key}",
        "TLSVerifyClient never",
    ]
    return "\n".join([*lines, *(["security simple_bind=128"] if tls_required else [])])


def _population(max_failures: int, failure_count_interval_seconds: int, lockout_duration_seconds: int) -> str:
    secret = hashed(PASSWORD)
    units = [
        entry(f"ou={name},{BASE}", {"objectClass": "organizationalUnit", "ou": name})
        for name in ("people", "branch", "groups", "services", "policies")
    ]
    policy = entry(
        f"cn=default,ou=policies,{BASE}",
        {
            "objectClass": ["device", "pwdPolicy"],
            "cn": "default",
            "pwdAttribute": "userPassword",
            "pwdLockout": "TRUE",
            "pwdMustChange": "TRUE",
            "pwdMaxFailure": str(max_failures),
            "pwdFailureCountInterval": str(failure_count_interval_seconds),
            "pwdLockoutDuration": str(lockout_duration_seconds),
        },
    )
    service = {
        "objectClass": ["organizationalRole", "simpleSecurityObject"],
        "cn": "turngate",
        "userPassword": hashed(SERVICE_PASSWORD),
    }
    people = [_person(login, name, PEOPLE, secret) for login, name in NAMES.items()]
    people += [_person("early", "Eve Early", PEOPLE, secret)]
    people += [_person("twin", "Twin Brother", parent, secret) for parent in (PEOPLE, BRANCH)]
    groups = [
        entry(
            group_dn(name),
            {
                "objectClass": "groupOfNames",
                "cn": name,
                "member": [group_dn(m[1:]) if m.startswith("@") else person(m) for m in members],
            },
        )
        for name, members in MEMBERS.items()
    ]
    root = entry(BASE, {"objectClass": ["dcObject", "organization"], "dc": "agency", "o": "Agency"})
    return "".join([root, *units, policy, entry(SERVICE, service), *people, *groups])


def _person(login: str, name: str, parent: str, secret: str) -> str:
    return entry(
        person(login, parent),
        {
            "objectClass": "inetOrgPerson",
            "uid": login,
            "cn": name,
            "sn": name.split()[-1],
            "displayName": name,
            "mail": f"{login}@agency.example",
            "userPassword": secret,
        },
    )
