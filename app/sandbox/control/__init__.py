"""The control API under /sandbox/api: play the user and the agent, look, and break things."""
