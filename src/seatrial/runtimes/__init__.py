"""How an app is deployed."""
