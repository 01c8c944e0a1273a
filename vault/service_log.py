"""The service's log: JSON lines on standard error; codes, ids and numbers only, never what a depositor wrote."""

import sys

import structlog


def service_log() -> structlog.typing.FilteringBoundLogger:
    """Give the log."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )
    return logger
