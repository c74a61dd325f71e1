"""What is raised where the embedded PostgreSQL cannot run; apart, since it can be imported on every system."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run; the message is one line for a person, with what would be right."""
