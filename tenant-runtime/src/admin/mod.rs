//! What the host may ask of a runtime, on a listener of its own.
