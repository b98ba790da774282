//! The name of an operation.

export_format::prefixed_id! {
    /// Names an operation, from its row to its page.
    pub struct OperationId("op")
}
