"""Measures: counted by the hour, read by the console, by OData and by whoever queries the views."""
