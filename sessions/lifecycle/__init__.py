"""Where state, AWS and a person meet: one module per thing that happens to a session.

sessions     create, edit, delete, and the rules of chains
plan         a session and a person → the AssumeRole requests of its chain, each with its fingerprint
activations  start, stop, rotate, end; keeping and erasing what is needed
claims       who works on what: lease and fence
rotation     one batch: claim → root credentials → hop by hop → one commit per level
reveal       event first, then the secret
probes       test before saving
state        what a person reads: status, chain, time left, problem
people       teams, members, tokens
reseal       everything to the newest keys
"""
