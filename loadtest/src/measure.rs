//! Figures: how often, how long, and how much, with the ratio to a baseline
//! measured in the same run. These machines are shared and noisy, so a ratio
//! says more than a number, and a median more than a mean.

use std::time::{Duration, Instant};

/// Durations of one thing done many times.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The sample below which `share` (0 to 1) of all lie; zero when there are none.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let place = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        sorted.get(place).copied().unwrap_or_default()
    }

    /// Half are faster.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| milliseconds(self.quantile(share)));
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, worst {worst:.1} ms (n={})", self.count())
    }
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Runs `once` and says how long it took.
pub async fn timed<T>(once: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = once.await;
    (value, start.elapsed())
}

/// Megabytes (10^6 bytes) a second.
pub fn megabytes_a_second(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.median(), Duration::ZERO);
        for ms in (1..=101).rev() {
            samples.add(Duration::from_millis(ms));
        }
        assert_eq!(samples.median(), Duration::from_millis(51));
        assert_eq!(samples.quantile(0.99), Duration::from_millis(100));
        assert_eq!(samples.quantile(1.0), Duration::from_millis(101));
    }
}
