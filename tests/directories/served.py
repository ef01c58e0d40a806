"""A served edge whose people are in one of the directories of these tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.served_edge import ServedEdge
from tests.directories import samba, slapd
from tests.directories.population import SERVICE_PASSWORD

BASES = {
    "openldap": (slapd.SERVICE, slapd.PEOPLE, slapd.GROUPS),
    "active_directory": (samba.SERVICE, samba.PEOPLE, samba.GROUPS),
}
"""Service account, people and groups of each kind."""


def on_directory(edge: ServedEdge, kind: str, ca_file: Path, *servers: str) -> ServedEdge:
    """The same edge, which asks these servers from its next start on."""
    service, people, groups = BASES[kind]
    edge.environment |= {
        "TURNGATE_DIRECTORY__KIND": kind,
        "TURNGATE_LDAP__SERVERS": json.dumps(servers),
        "TURNGATE_LDAP__CA_FILE": str(ca_file),
        "TURNGATE_LDAP__BIND_DN": service,
        "TURNGATE_LDAP__BIND_PASSWORD": SERVICE_PASSWORD,
        "TURNGATE_LDAP__PEOPLE_BASE": people,
        "TURNGATE_LDAP__GROUPS_BASE": groups,
    }
    return edge
