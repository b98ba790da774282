//! The name of a domain's row.

export_format::prefixed_id! {
    /// Names one domain of one server, from its row to its page.
    pub struct DomainId("dmn")
}
