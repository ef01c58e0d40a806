"""What the README and the pages say is so: files, links, commands, packages, metrics, routes and frames are
there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import pytest
import typer.main

from broker.cli.main import app
from broker.core.client_frames import ClientFrame
from broker.shell.metrics import Metrics
from broker.shell.relay_metrics import RelayCollector
from relay.meter import DirectionCounters
from relay.service import RelayCounters
from relay.vocabulary import PlaneCounters
from tests.house import tracked

NO_COUNTERS = RelayCounters({}, 0, 0, DirectionCounters(), {}, {}, PlaneCounters(), 0, 0, draining=False)
PAGES = [
    path
    for path in tracked.files()
    if path.endswith(".md") and path.split("/")[0] in ("README.md", "docs", "deploy")
]
FOLDERS = {str(folder) for path in tracked.files() for folder in PurePosixPath(path).parents} - {"."}
PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml|md|json)")
FILE_SUFFIXES = (".py", ".toml", ".md", ".json", ".ldif", ".service")


def code_of(page: str) -> list[str]:
    """Code spans and indented code of a page."""
    text = tracked.text(page)
    return re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of the same or a higher level."""
    level = heading.split(" ")[0]
    _, _, rest = tracked.text(page).partition(f"\n{heading}\n")
    assert rest, f"{page} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(table: str) -> list[str]:
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


def named_paths(page: str) -> set[str]:
    """What a page's code calls by a path of this repository, or by the name of a file of the product."""
    spans = {span.removesuffix("/...") for span in re.findall(r"`([^`\n]+)`", tracked.text(page))}
    roots = {path.split("/")[0] for path in tracked.files()}
    return {
        span
        for span in spans
        if PATH.fullmatch(span)
        and (span.split("/")[0] in roots or ("/" in span and span.endswith(FILE_SUFFIXES)))
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_a_page_names_is_there(page: str) -> None:
    there = {*tracked.files(), *FOLDERS}
    assert {path for path in named_paths(page) if path.rstrip("/") not in there} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", tracked.text(page))
    folder = (tracked.ROOT / page).parent
    assert [target for target in targets if "://" not in target and not (folder / target).exists()] == []


def commands() -> dict[str, set[str]]:
    """Every command of the command line by its full name, with its options; groups are left out."""
    found: dict[str, set[str]] = {}

    # typer carries its own copy of click, which is not for others to import: hence Any.
    def walk(name: str, command: Any) -> None:
        if hasattr(command, "commands"):
            for child, sub_command in command.commands.items():
                walk(f"{name} {child}", sub_command)
        else:
            found[name] = {text for parameter in command.params for text in parameter.opts}

    walk("turngate", typer.main.get_command(app))
    return found


def command_in(code: str) -> tuple[str, list[str]] | None:
    """The command that a line of code calls, with its options; what follows two spaces is a comment."""
    match = re.search(r"(?<![\w/.-])turngate ([a-z].*)", code)
    if match is None:
        return None
    words = re.split(r" {2,}", match[1])[0].split(" ")
    depth = 2 if words[0] in {name.split(" ")[1] for name in commands() if name.count(" ") == 2} else 1
    return " ".join(["turngate", *words[:depth]]), [word for word in words if word.startswith("--")]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_a_page_shows_exists(page: str) -> None:
    known = commands()
    for name, options in filter(None, map(command_in, code_of(page))):
        assert name in known, f"{page}: {name}"
        assert set(options) <= known[name], f"{page}: {name} {options}"


def test_the_readme_names_every_command() -> None:
    shown = {found[0] for found in map(command_in, code_of("README.md")) if found is not None}
    assert shown == commands().keys()


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", tracked.text("Makefile"), re.MULTILINE))
    named = {name for code in code_of(page) for name in re.findall(r"(?:^| )make ([a-z-]+)", code)}
    assert named <= targets


def test_the_walks_name_files_from_the_wire_to_the_effect() -> None:
    walks = section("README.md", "## Three walks through the code").split("\n**")[1:]
    assert [walk.split("**")[0] for walk in walks] == ["A chat message", "A call set-up", "A media packet"]
    for walk in walks:
        files = [span for span in re.findall(r"`([^`\n]+)`", walk) if span.endswith(".py")]
        assert len(set(files)) >= 4
        assert set(files) <= set(tracked.files())


def test_the_dependency_table_is_what_pyproject_says() -> None:
    project = tomllib.loads(tracked.text("pyproject.toml"))["project"]
    declared = {"run": project["dependencies"], **project["optional-dependencies"]}
    wanted = {(re.split(r"[^\w.-]", line)[0], use) for use, lines in declared.items() for line in lines}
    rows = [
        line.strip("|").split("|")
        for line in section("README.md", "## Dependencies").splitlines()
        if line.startswith("|")
    ][2:]
    assert [(name.strip(), use.strip()) for name, use, reason in rows if reason.strip()] == sorted(
        wanted, key=lambda row: (["run", "test", "dev", "fuzz", "load"].index(row[1]), row[0].lower())
    )


def test_the_import_arrow_is_the_one_that_is_enforced() -> None:
    contracts = tomllib.loads(tracked.text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "rooms")
    arrow = " -> ".join(f"({layer})" if "|" in layer else layer for layer in layers)
    assert f"`{arrow}`" in tracked.text("README.md")


def test_the_readme_lists_the_suites_that_are_run() -> None:
    run = re.search(r"^SUITES := (.*)$", tracked.text("Makefile"), re.MULTILINE)
    assert run is not None
    listed = first_column(section("README.md", "## Development"))
    assert {row.strip("`") for row in listed} == {f"tests/{suite.split(':')[0]}/" for suite in run[1].split()}


def shell_sources() -> str:
    return "\n".join(
        tracked.text(path)
        for path in tracked.files()
        if path.endswith(".py") and path.startswith(("auth/", "broker/shell/", "relay/"))
    )


def test_operations_explain_every_metric() -> None:
    families = [*Metrics().registry.collect(), *RelayCollector(lambda: NO_COUNTERS).collect()]
    own = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    watched = set(re.findall(r'\.watch(?:_each)?\(\s*"(turngate_\w+)"', shell_sources()))
    explained = set(re.findall(r"`(turngate_\w+)`", section("docs/operations.md", "## Metrics")))
    assert explained == own | watched


def test_operations_explain_every_line_that_warns() -> None:
    raised = set(re.findall(r'log\.(?:warning|error|exception|critical)\(\s*"([\w.]+)"', shell_sources()))
    rows = first_column(section("docs/operations.md", "## What each line of the log means"))
    assert {name for row in rows for name in re.findall(r"`([\w.]+)`", row)} == raised


@pytest.mark.parametrize("listener", ["inside", "outside", "admin"])
def test_the_threat_model_has_every_route(listener: str) -> None:
    path = f"broker/shell/gateway/{listener}.py"
    source = tracked.text(path)
    routes = {
        f"{verb.upper()} {route}" for verb, route in re.findall(r'\.add_(get|post)\(\s*"([^"]+)"', source)
    }
    if "pages.add_routes" in source:
        routes |= {"GET /", "GET /assets/..."}
    table = section("docs/threat-model.md", f"### {listener.title()} listener (`{path}`)")
    assert {route for row in first_column(table) for route in re.findall(r"`([^`]+)`", row)} == routes


def test_the_threat_model_has_every_frame_a_client_may_send() -> None:
    types = {frame.model_fields["type"].default for frame in get_args(ClientFrame)}
    rows = first_column(section("docs/threat-model.md", "## Frames"))
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == types


def test_every_decision_has_a_title_and_a_few_lines() -> None:
    for path in tracked.files():
        if path.startswith("docs/decisions/") and path != "docs/decisions/README.md":
            lines = [line for line in tracked.text(path).splitlines() if line]
            assert lines[0].startswith("# "), path
            assert 4 <= len(lines) <= 12, path
            assert re.fullmatch(r"[a-z0-9-]+\.md", Path(path).name), path
