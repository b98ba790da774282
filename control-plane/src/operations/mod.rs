//! Work with an end, such as exports and imports: a row, closed steps, progress.
//!
//! An operation is written down before it begins, and every step can be run twice. So a provider that is killed at any
//! moment reads its operations at the next start and goes on where each of them was. The heavy work happens in the
//! server's own runtime; an operation only drives it over the admin listener, in every standing of the bill.

mod ident;
mod operation;
mod step;

pub use ident::OperationId;
pub use operation::{Kind, Operation, State};
pub use step::{ExportStep, ImportStep, StepState, StepView};
