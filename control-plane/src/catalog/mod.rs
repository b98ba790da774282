//! The catalogue of apps: a signed static index anyone can host.
