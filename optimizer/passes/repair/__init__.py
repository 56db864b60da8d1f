"""What the repair of a multi-stage build is made of."""
