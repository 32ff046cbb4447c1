"""Who may read: API tokens, and the console's password."""
