//! Accounts, servers, placement, operations and the gateway.

pub mod catalog;
pub mod gateway;
pub mod operations;
