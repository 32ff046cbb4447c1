"""Does it stay quick as it fills? Measured with up to a million stored conversations: `make growth`."""
