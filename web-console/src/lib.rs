//! The console for consumers and operators, and the freehold binary.
