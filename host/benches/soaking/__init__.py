"""The parts of soak.py: a site that changes, clients that check it, guests that are swapped."""
