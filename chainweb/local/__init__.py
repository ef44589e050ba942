"""Prepare, start and supervise an installation on one machine."""
