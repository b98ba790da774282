//! From a host name to a server, which wakes while the request is held.
