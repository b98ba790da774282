//! Between the store and the open archive format: export reads one snapshot, import writes one staged home.

pub mod error;
pub mod export;
pub mod identity;
pub mod import;
pub(crate) mod keepsakes;
pub mod payload;
pub mod row;
mod running;
pub(crate) mod work;

pub use error::Error;
