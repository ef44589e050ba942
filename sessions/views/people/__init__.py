"""Show people, access, tokens and invitations."""
