"""Read the files in which AWS tools keep role chains, and write them: text in, text out.

Nothing here touches the database, the disk or a network, and no command that a file names is run.
`reading.read` turns files into a `Plan`: what each profile would become, what stands in its way and
on which line. Comparing it with a team's sessions, and saving, is for `sessions.forms.imports`.
"""
