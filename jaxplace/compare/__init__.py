"""jaxplace beside other solvers: the same instances, a process each, one judge."""
