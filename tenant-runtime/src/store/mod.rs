//! The durable home of one server: SQLite whose truth lives in an object store.
