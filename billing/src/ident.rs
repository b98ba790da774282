//! The names that billing gives to its things.

use export_format::prefixed_id;

prefixed_id! {
    /// A plan in the operator's catalogue.
    pub struct PlanId("pln")
}
prefixed_id! {
    /// One account's agreement to one plan.
    pub struct SubscriptionId("sub")
}
prefixed_id! {
    /// One bill.
    pub struct InvoiceId("inv")
}
prefixed_id! {
    /// Who pays, as a payment provider knows them.
    pub struct CustomerId("cus")
}
