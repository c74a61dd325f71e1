"""Log lines: for a person on a terminal, as JSON for a collector; both to standard error."""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

from server.settings import Settings

# No line says them, and each would look them up. (logging's documentation, "Optimization")
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

NO_FIELDS: Mapping[str, str] = MappingProxyType({})

request_fields: ContextVar[Mapping[str, str]] = ContextVar("request_fields", default=NO_FIELDS)
"""What every line that is logged while a request is served says of it: its id and, where known, its trace."""


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message, fields and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", NO_FIELDS),
            **request_fields.get(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # ASCII only, so that no text can break a line or the encoding. orjson, ten times as fast, cannot escape more
        # than it must, and refuses lone surrogates.
        try:
            return orjson.dumps(line, option=orjson.OPT_UTC_Z).decode("ascii")
        except (TypeError, UnicodeDecodeError):
            return json.dumps(line, ensure_ascii=True, default=_rfc3339)


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """Time, level, logger and message, and the fields as `name=value`; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        fields = {**getattr(record, "fields", NO_FIELDS), **request_fields.get()}
        return super().formatMessage(record) + "".join(f" {name}={fields[name]}" for name in fields)


def logging_config(settings: Settings) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig`: the service at LOG_LEVEL, libraries from warnings on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": TextFormatter, "fmt": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
            "json": {"()": JSONFormatter},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": settings.log_format,
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "todo_api": {"level": settings.log_level},
            "uvicorn": {"level": "WARNING"},
        },
    }
