"""How an acquisition degrades an image: batched, seeded, on any device, in plain torch."""
