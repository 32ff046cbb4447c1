"""Stored conversations as something else: a scenario to play again."""
