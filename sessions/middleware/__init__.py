"""Treat every request and response alike: headers, API errors, limits."""
