"""The command line: arguments to values, outcomes to exit codes. It decides nothing about a trial."""
