"""Lock a team, and notice outdated versions.

`team_lock` takes the lock and reads again who may do what; `parts` holds it for a fraction of a
second at a time, `turnstile` bounds who waits for it in a web process, `busy_teams` puts off in a
worker what would wait; `versions` tells the second of two editors.
"""
