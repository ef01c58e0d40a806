"""The options every sub-command that reads the configuration has, and how it reports mistakes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from config.errors import ConfigurationError, ConfigurationErrors
from config.loading import load_settings
from config.settings import Settings

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with the settings.", metavar="FILE", show_default=False),
]
Flags = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="One setting; wins over the file and the environment.", metavar="SECTION.FIELD=VALUE"
    ),
]


def settings_or_exit(config: Path | None, flags: list[str] | None) -> Settings:
    """The settings; with mistakes in them, one line for each on stderr and exit status 1."""
    try:
        return load_settings(config, os.environ, flags or [])
    except ConfigurationErrors as mistakes:
        refuse(mistakes.errors)


def refuse(errors: Iterable[ConfigurationError]) -> NoReturn:
    """One line for each error on stderr, then exit status 1."""
    for error in errors:
        typer.echo(error, err=True)
    raise typer.Exit(1)
