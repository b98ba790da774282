//! How often somebody nobody has signed in may ask for something that costs others.
//!
//! Each purpose, and each other server within it, has a bucket of its own in memory; a server that wakes begins anew, which
//! waking itself makes slow enough.

use std::collections::HashMap;
use std::time::Instant;

use axum::http::StatusCode;
use parking_lot::Mutex;

use crate::problem::Problem;

/// How many buckets are kept; beyond that those that have filled up again are forgotten.
const MOST: usize = 2_000;

/// How much of something there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// In one go.
    pub(crate) burst: f64,
    /// More each second.
    pub(crate) each_second: f64,
}

struct Bucket {
    left: f64,
    at: Instant,
    rate: Rate,
}

/// All buckets of one server.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<String, Bucket>>);

impl Throttle {
    /// Takes one from the bucket of this name.
    ///
    /// # Errors
    /// 429 with the seconds to wait, when it is empty.
    pub(crate) fn take(&self, name: &str, rate: Rate) -> Result<(), Problem> {
        self.take_at(name, rate, Instant::now()).map_err(|seconds| {
            let detail = "There were too many of these lately. Wait a moment, then try again.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail).retry_after(seconds)
        })
    }

    fn take_at(&self, name: &str, rate: Rate, now: Instant) -> Result<(), u32> {
        let mut buckets = self.0.lock();
        if buckets.len() >= MOST && !buckets.contains_key(name) {
            buckets.retain(|_, bucket| bucket.filled(now) < bucket.rate.burst);
            if buckets.len() >= MOST {
                return Err(60);
            }
        }
        let bucket = buckets.entry(name.to_owned()).or_insert(Bucket { left: rate.burst, at: now, rate });
        bucket.left = bucket.filled(now);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(((1.0 - bucket.left) / rate.each_second).ceil() as u32);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed * self.rate.each_second).min(self.rate.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_again_by_itself() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let rate = Rate { burst: 2.0, each_second: 0.5 };
        let take = |name: &str, seconds: u64| throttle.take_at(name, rate, start + Duration::from_secs(seconds));
        assert_eq!((take("a", 0), take("a", 0), take("a", 0)), (Ok(()), Ok(()), Err(2)));
        assert_eq!(take("b", 0), Ok(()), "another has its own");
        assert_eq!((take("a", 1), take("a", 2)), (Err(1), Ok(())));
        for n in 0..MOST * 2 {
            let _ = take(&format!("n-{n}"), 3);
        }
        assert!(throttle.0.lock().len() <= MOST);
        assert_eq!(take("late", 3), Err(60));
        assert_eq!(take("late", 100), Ok(()));
    }
}
