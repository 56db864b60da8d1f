"""The account that a program runs as: who it is, what it must own, where its lines go."""
