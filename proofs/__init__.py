"""WHY we believe it: the symbolic engine, the theorems, their planted bugs and witnesses."""
