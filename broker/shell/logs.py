"""Logs: one JSON object a line on stderr. Personal data prints as REDACTED, control characters are escaped by
JSON."""

from __future__ import annotations

import logging
import sys

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


def _no_stranger(record: logging.LogRecord) -> bool:
    """False for bytes that are no HTTP: whoever sends them must not write a traceback a packet, nor have
    their address kept."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError)


def _no_echo(record: logging.LogRecord) -> bool:
    """False for what the event loop says of each write to a connection that is over: the other end decides
    how many of those there are."""
    return record.msg not in ("SSL connection is closed", "socket.send() raised exception.")


def keep_strangers_out() -> None:
    """Let no client decide how much the libraries log."""
    for name, allows in (("aiohttp.server", _no_stranger), ("asyncio", _no_echo)):
        library = logging.getLogger(name)
        if allows not in library.filters:
            library.addFilter(allows)


def configure_logs(level: int = logging.INFO) -> None:
    """For the whole process; the libraries' own loggers speak up from WARNING on."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    keep_strangers_out()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
