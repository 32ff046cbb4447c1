"""The page at `/`: the customer's chat, the agent's desk, the live log and the faults.

HTML, CSS and ES modules by hand, served as they stand here. It uses the control API like any other client.
"""
