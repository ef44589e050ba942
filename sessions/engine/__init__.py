"""Issue and rotate credentials in workers: claim, assume, commit."""
