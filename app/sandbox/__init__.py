"""A local Chat Gateway: plays 8x8 for people who try a bot and for Parley's own tests.

A program of its own: it shares no code with `app.gateway`, so that a misreading of the protocol
can't hide on both sides of the wire. State lives in memory, bounded.
"""
