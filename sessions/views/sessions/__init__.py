"""Show the list of sessions, a session's page, its forms and its buttons."""
