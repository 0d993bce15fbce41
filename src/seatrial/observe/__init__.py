"""The observer: probes, samples, log follower; a process of its own."""
