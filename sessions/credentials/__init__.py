"""Describe one credential: outcomes, problems, needs, sealed form, timing."""
