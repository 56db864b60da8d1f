"""What cleaning a package cache asks: which option a package manager knows, and who reads the cache later."""
