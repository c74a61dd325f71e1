"""How `logging` is set up: lines for a person on a terminal, or as JSON for a collector; both to standard error."""

import logging
from typing import Any

from server.settings import Settings
from server.telemetry.observe import FORMATTERS

# No line says them, and each would look them up. (logging's documentation, "Optimization")
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def logging_config(settings: Settings) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig`: the service at LOG_LEVEL, libraries from warnings on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {form: {"()": formatter} for form, formatter in FORMATTERS.items()},
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
            "openapi.bridge": {"level": settings.log_level},
            "uvicorn": {"level": "WARNING"},
        },
    }
