"""Clients of two sorts: honest ones that check and time each answer, and rude ones."""
