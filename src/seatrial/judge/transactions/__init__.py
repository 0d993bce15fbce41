"""Transactions: anomalies by cycles, and the isolation levels that they rule out."""
