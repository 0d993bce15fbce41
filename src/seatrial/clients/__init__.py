"""How an op reaches the app, and which errors are certain."""
