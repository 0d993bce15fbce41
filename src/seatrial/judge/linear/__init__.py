"""Linearizability: the cheapest exact method for a model, and a search where none is known."""
