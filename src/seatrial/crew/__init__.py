"""Simulated users: the public User class, worker processes, programs in other languages."""
