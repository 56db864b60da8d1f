"""What the reordering of a stage is made of."""
