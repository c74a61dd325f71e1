"""Fixtures that every test may use: one real PostgreSQL and one real service for the whole run, and fresh users."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from db.embedded.cluster import embedded_postgres
from db.migrations import migrations
from tests.support.clusters import Cluster, run
from tests.support.running import Service, service_in_thread

# `make test-all` takes the large one (--hypothesis-profile). No test measures time.
settings.register_profile("small", max_examples=25, deadline=None)
settings.register_profile("large", max_examples=500, deadline=None)
settings.load_profile("small")


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL 18 with the schema of this version; what its superuser commits need not wait for the disk."""
    folder: Path = tmp_path_factory.mktemp("database")
    with embedded_postgres(folder) as url:
        run(url, "ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        migrations.upgrade(url)
        yield url


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    """A database that nobody else uses, with the schema of this version."""
    with Cluster(database_url).database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture
def fresh(database_url: str) -> Iterator[str]:
    """An empty database."""
    with Cluster(database_url).database() as url:
        yield url


@pytest.fixture(scope="session")
def service(database_url: str) -> Iterator[Service]:
    """The service on a real port; tests share it, so each uses users of its own."""
    with service_in_thread(database_url) as running:
        yield running


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    """An HTTP client that is not signed in; making one takes longer than a request."""
    with service.client() as client:
        yield client


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{uuid.uuid4()}"


@pytest.fixture
def client(service: Service, user: str) -> Iterator[httpx.Client]:
    """An HTTP client that is signed in as `user`."""
    with service.client(user) as client:
        yield client


@pytest.fixture
def tasks(user: str) -> str:
    """The path of the user's tasks."""
    return f"/api/{user}/tasks"
