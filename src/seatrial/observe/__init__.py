"""The observer: probes, samples, log follower; processes of their own, so that a stalled conductor makes no gap."""
