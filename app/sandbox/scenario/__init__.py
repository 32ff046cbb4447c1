"""Scripted conversations: a YAML file says what the user and the agent do and what the bot must answer."""
