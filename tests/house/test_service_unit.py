"""The example systemd unit keeps its sandbox, and names only settings that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.settings import Settings
from config.sources import read_environment
from tests.house import tracked

UNIT = "deploy/turngate.service"


def lines() -> list[str]:
    return [line for line in tracked.text(UNIT).splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(
    "line",
    [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "RestrictNamespaces=yes",
        "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=@system-service",
        "SystemCallArchitectures=native",
        "UMask=0077",
        "LimitCORE=0",
    ],
)
def test_the_unit_keeps_its_sandbox(line: str) -> None:
    assert line in lines()


def test_keys_and_secrets_reach_the_service_as_credentials_only() -> None:
    credentials = {
        line.removeprefix("LoadCredential=").split(":")[0]
        for line in lines()
        if line.startswith("LoadCredential=")
    }
    passed = set(re.findall(r"=%d/(\S+)", "\n".join(lines())))
    assert credentials == passed == {"tls.key", "invitations.secret"}


def test_the_unit_sets_only_settings_that_exist_and_no_secret() -> None:
    variables = dict(
        line.removeprefix("Environment=").split("=", 1) for line in lines() if line.startswith("Environment=")
    )
    found = list(read_environment(Settings, variables))
    assert len(found) == 3
    assert [entry for entry in found if isinstance(entry, ConfigurationError)] == []
    assert not any(name.endswith(("SECRET", "PASSWORD")) for name in variables)


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        # Without systemd the file is still held to its form: sections, and settings with a value.
        assert all(re.fullmatch(r"\[[A-Z]\w+\]|[A-Z]\w+=.+", line) for line in lines())
        return
    # The product need not be installed where the unit says for systemd to read the unit.
    unit = tmp_path / "turngate.service"
    unit.write_text(tracked.text(UNIT).replace("/opt/turngate/bin/turngate", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=30, check=False
    )
    assert [line for line in done.stderr.splitlines() if "turngate.service" in line] == []
