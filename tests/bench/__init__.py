"""`make bench`: how fast Parley is, measured on real processes with the sandbox as 8x8."""
