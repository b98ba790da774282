//! The whole platform in one process: [`platform`] starts one or two providers,
//! [`person`] uses them through the pages a browser would, [`measure`] and
//! [`pressure`] put figures to it, [`economy`] those of idle servers, [`moving`]
//! takes servers from one to the other under writes.
//!
//! The journeys are tests in `tests/it`; the figures come from the `loadtest`
//! program.

mod copies;
pub mod disk;
pub mod economy;
pub mod floor;
pub mod handlers;
mod leaving;
pub mod measure;
pub mod moving;
pub mod person;
pub mod platform;
pub mod pressure;
pub mod sleepers;
pub mod storage;
