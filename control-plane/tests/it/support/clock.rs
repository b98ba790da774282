//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use control_plane::Clock;
use jiff::Timestamp;

#[derive(Clone)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub(crate) fn new() -> Self {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        Self(Arc::new(AtomicI64::new(noon.as_millisecond())))
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = Arc::clone(&self.0);
        Clock::from_fn(move || Timestamp::from_millisecond(hands.load(Ordering::SeqCst)).unwrap())
    }

    pub(crate) fn forward_minutes(&self, minutes: i64) {
        self.0.fetch_add(minutes * 60_000, Ordering::SeqCst);
    }

    pub(crate) fn forward_days(&self, days: i64) {
        self.forward_minutes(days * 24 * 60);
    }
}
