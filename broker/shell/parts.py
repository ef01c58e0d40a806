"""Parts: what `serve` is made from, loaded from the files that the settings name."""

from __future__ import annotations

from auth.directory import Directory
from auth.ldap import LdapDirectory
from auth.ldif import LdifDirectory
from broker.shell.serve import Parts
from broker.shell.tls import server_context
from config.policy.loading import load_policy
from config.settings import Settings


class IncompleteError(Exception):
    """A setting that the service cannot do without is missing; `turngate check` says which."""


def load_parts(settings: Settings) -> Parts:
    """Needs a running event loop. Raises IncompleteError, LdifError, PolicyErrors, OSError, ssl.SSLError."""
    tls, policy = settings.tls, settings.policy
    secret = settings.invitations.secret
    if tls.certificate_file is None or tls.private_key_file is None:
        raise IncompleteError("tls.certificate_file and tls.private_key_file")
    if policy.file is None or secret is None:
        raise IncompleteError("policy.file and invitations.secret_file")
    return Parts(
        directory=make_directory(settings),
        policy=load_policy(policy.file.read_bytes(), policy.file.name),
        tls=server_context(tls.certificate_file, tls.private_key_file),
        invitation_keys=(secret.get_secret_value().encode(),),
    )


def make_directory(settings: Settings) -> Directory:
    """The directory that the settings name, which is not asked anything yet. Raises IncompleteError,
    LdifError, OSError, ssl.SSLError."""
    directory = settings.directory
    if directory.kind != "ldif":
        try:
            return LdapDirectory(
                directory.kind, settings.ldap, outage_grace_seconds=directory.outage_grace_seconds
            )
        except ValueError as incomplete:
            raise IncompleteError(str(incomplete)) from None
    if directory.ldif_file is None:
        raise IncompleteError("directory.ldif_file")
    threads = settings.sign_in.password_check_threads
    return LdifDirectory(directory.ldif_file, password_check_threads=threads)
