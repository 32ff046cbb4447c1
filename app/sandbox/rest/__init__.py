"""The Chat Gateway v1 REST interface, as 8x8 publishes it."""
