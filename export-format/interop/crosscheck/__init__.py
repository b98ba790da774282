"""Asks both implementations the same things: the Python one directly, the Rust one as a program, by its findings."""
