"""Files that users send and bots send: fetched, scanned, stored, served, deleted."""
