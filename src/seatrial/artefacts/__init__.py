"""Where artefacts come from, and the cache that holds them."""
