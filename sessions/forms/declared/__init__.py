"""Make a team's sessions and groups what a file says: see `apply.apply_document`."""
