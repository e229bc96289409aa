//! The CPU backend: the reference that every other device is held against.
