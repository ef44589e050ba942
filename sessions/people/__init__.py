"""Manage people, memberships, invitations, tokens and second factors."""
