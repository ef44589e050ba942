"""Answer health checks and metrics, and show every part of the pages."""
