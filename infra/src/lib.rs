//! Hosts, storage and the sandbox that one runtime lives in.
