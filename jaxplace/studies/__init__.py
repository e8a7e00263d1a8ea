"""Whole jobs built from many solves of one instance: the frontier, the audit, and "why?"."""
