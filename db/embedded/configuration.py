"""What the embedded PostgreSQL is started with, beside its folders."""

DATABASE = "todo"
PORT = 5432  # No port is opened; the number is part of the socket's name.

# Nothing that a user has sent is written down: no failed statement and no error, whose message or detail may quote a
# value (the service logs the SQLSTATE), and of a crash not what the process was running.
QUIET = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
}

SETTINGS = {
    "port": str(PORT),
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "hba_file": "pg_hba.conf",
    "ident_file": "pg_ident.conf",
    # What is acknowledged is on the disk.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "lc_messages": "C",
    # After the crash of one process the others end and it recovers, by itself.
    "restart_after_crash": "on",
    # One file for each day of the week, begun anew a week later, so that the log stays bounded.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    **QUIET,
    "log_parameter_max_length": "0",
}
