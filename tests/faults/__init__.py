"""Nothing lost, nothing doubled, in order, while parts are killed and 8x8 misbehaves: `make faults`."""
