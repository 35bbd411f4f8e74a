//! From what was typed to a checked plan to a run.
