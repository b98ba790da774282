//! The name of a place.

export_format::prefixed_id! {
    /// Names a place, from its row to its page.
    pub struct PlaceId("plc")
}
