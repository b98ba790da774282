//! Where homes lie: one prefix of the object store for each server.
