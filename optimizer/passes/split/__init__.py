"""Splitting a stage in two: a module a language, and what they share."""
