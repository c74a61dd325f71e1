"""Which paths belong to the pages; apart from them, since their libraries are imported when a page is asked for."""

PATHS = frozenset({"/", "/docs", "/openapi.yaml", "/openapi.json"})


def is_page(path: str) -> bool:
    """Whether a request's path, decoded and without its query, belongs to the pages."""
    return path in PATHS or path.startswith("/docs/")
