"""Contacts: the people at the other end, their profiles, and how to find, hand out and erase what is kept."""
