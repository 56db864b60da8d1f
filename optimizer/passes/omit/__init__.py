"""What ``omit-development`` is made of: a module a language."""
