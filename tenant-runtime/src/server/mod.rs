//! One person's server: everything a request may need, in one value that is cheap to clone.

mod forwarding;
mod http;
pub mod inherited;
pub mod linger;
pub mod listen;
mod registry;
pub mod serve;
mod state;
mod unavailable;
mod wish;

pub use http::router;
pub use registry::{Installed, Registry};
pub use state::{Error, Server};
pub use unavailable::unavailable;

/// The time now, Unix milliseconds. Read at the edge only; everything below takes it as a parameter.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
