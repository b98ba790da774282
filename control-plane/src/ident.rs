//! The names that the control plane gives to its things.

use export_format::prefixed_id;

prefixed_id! {
    /// A person or a business that has signed up.
    pub struct AccountId("acc")
}
prefixed_id! {
    /// One letter in the outbox.
    pub struct LetterId("ltr")
}
