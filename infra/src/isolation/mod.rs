//! The sandbox one runtime lives in.

mod report;

pub use report::{Holds, IsolationReport, Mechanism, Requirement};
