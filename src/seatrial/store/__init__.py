"""The run folder: journals, ledger, sealing, loading."""
