//! How fast another server may be asked: freezr takes 300 requests a minute from a user and refuses the rest.
//!
//! So requests are counted over the last minute, and the one that would be too many waits until the first of them is a
//! minute old. Invariant: within any minute no more than [`A_MINUTE`] go out.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So many requests go out within a minute; a few less than freezr takes, for the clocks are two.
pub(super) const A_MINUTE: usize = 290;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts the requests to one server.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<Instant>>);

impl Pace {
    /// Waits until one more may go out.
    pub(super) async fn turn(&self) {
        loop {
            let now = Instant::now();
            match self.take(now) {
                None => return,
                Some(free) => tokio::time::sleep_until(free).await,
            }
        }
    }

    /// Counts a request that goes out now, or says when it may.
    fn take(&self, now: Instant) -> Option<Instant> {
        let mut sent = self.0.lock();
        while sent.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            sent.pop_front();
        }
        if sent.len() < A_MINUTE {
            sent.push_back(now);
            return None;
        }
        sent.front().map(|first| *first + MINUTE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_minute_has_more_than_it_may() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut now = start;
        let mut sent: Vec<Instant> = Vec::new();
        for n in 0..2 * A_MINUTE + 10 {
            now += Duration::from_millis((n % 7) as u64);
            while let Some(free) = pace.take(now) {
                assert!(free > now, "it waits for something");
                now = free;
            }
            sent.push(now);
        }
        let most = sent.iter().map(|from| sent.iter().filter(|at| *at >= from && **at < *from + MINUTE).count()).max();
        assert_eq!(most, Some(A_MINUTE));
    }
}
