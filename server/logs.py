"""Log lines: for a person on a terminal, as JSON for a collector; both to standard error."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from server.settings import Settings


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message and, where there is one, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # ASCII only, so that no text can break a line or the encoding.
        return json.dumps(line, ensure_ascii=True)


def logging_config(settings: Settings) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig`: the service at LOG_LEVEL, libraries from warnings on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
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
