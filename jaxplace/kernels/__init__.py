"""The three operations that every method is made of, and where they run."""
