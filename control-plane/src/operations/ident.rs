//! The name of an operation.

use std::fmt;
use std::str::FromStr;

/// Names an operation: `op_` and 32 hexadecimal digits, ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(uuid::Uuid);

impl OperationId {
    /// A new one.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        let ms = u64::try_from(now_ms).unwrap_or(0);
        let at = uuid::Timestamp::from_unix(uuid::NoContext, ms / 1000, (ms % 1000) as u32 * 1_000_000);
        Self(uuid::Uuid::new_v7(at))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op_{}", self.0.simple())
    }
}

impl FromStr for OperationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("op_").filter(|hex| hex.len() == 32);
        let id = hex.and_then(|hex| uuid::Uuid::try_parse(hex).ok());
        id.map(Self).ok_or_else(|| format!("{text:?} is not the id of an operation"))
    }
}
