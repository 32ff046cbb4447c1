"""The console: pages on the admin port, made by the server, for ops and analysts."""
