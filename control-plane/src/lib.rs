//! Accounts, servers, placement, operations and the gateway: everything that decides, above the hosts and below the pages.
//!
//! The nouns, in reading order: [`accounts`] sign up and in, [`business`] is who they sign up with, [`subscriptions`] are
//! what they agree to and pay, [`servers`] are what they get, [`hosts`] are where those live, [`operations`] are work with
//! an end, [`mail`] is what we write to people, [`places`] are storage of
//! people's own for copies, [`domains`] are names of their own that lead to their servers, [`drills`] try whether one could leave today, [`catalogue`] is what there is to install, [`gateway`] is the way in,
//! [`metering`] is what each of them used, [`care`] is how well their data is kept, [`audit`] is who did what when,
//! [`history`] is what archives tell of it, [`errands`] are what servers ask of each other, [`wakes`] wake them in time for what is due, [`moves`] go from one provider to another, [`overview`] is all of it in a few
//! figures, [`paging`] is how long lists are read.
//! Under them: [`db`], the errors ([`Error`], [`Problem`]), who asks ([`Actor`]) and the whole ([`ControlPlane`]).
//!
//! Whatever has more than one step is a row first, and a loop or a restart goes on from the row: so there is no moment at
//! which `kill -9` leaves something half made that nobody finishes.

pub mod accounts;
pub mod audit;
pub mod business;
pub mod care;
pub mod catalogue;
mod context;
pub mod db;
pub mod domains;
pub mod drills;
pub mod errands;
mod error;
pub mod gateway;
pub mod history;
pub mod hosts;
mod ident;
mod keys;
pub mod mail;
pub mod metering;
pub mod moves;
pub mod operations;
pub mod overview;
pub mod packages;
pub mod paging;
pub mod places;
mod plane;
mod problem;
mod row;
pub mod servers;
pub mod subscriptions;
pub mod wakes;

pub use context::{Actor, Clock};
pub use error::{Error, Kind, Result};
pub use ident::{AccountId, LetterId};
pub use keys::Keys;
pub use plane::{ControlPlane, PublicAddress, Settings, Smtp};
pub use problem::{Problem, status, status_of};
