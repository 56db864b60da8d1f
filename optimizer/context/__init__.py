"""Evidence from the build context: ignore file, manifests, source. Readers are pure functions over a `BuildContext`;
what cannot be known is a value of its own, never a guess."""

from optimizer.context.folder import BuildContext, ContextError

__all__ = ["BuildContext", "ContextError"]
