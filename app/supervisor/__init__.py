"""`parley up`: every part of Parley as a child process of one supervisor."""
