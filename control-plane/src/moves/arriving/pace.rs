//! How much moves may take of the line together.
//!
//! One bucket for all: whoever wants to hand on some bytes waits until those that asked before have had theirs. No stream
//! has more than one piece waiting, and no piece is longer than another's may be, so they share the line evenly however much
//! each has to bring and however much of it comes at a time.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So many bytes a second come from other providers, all moves together.
pub(in crate::moves) const MOST: u64 = 1 << 30;
/// So many bytes are asked for at a time.
const PIECE: usize = 16 * 1024;
/// What may come at once after a time of rest.
const SPARE: Duration = Duration::from_millis(100);

/// The bucket.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second.
    most: u64,
    free_at: Mutex<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { most: MOST, free_at: Mutex::default() }
    }
}

impl Pace {
    /// Waits until so many more bytes may come.
    pub(super) async fn take(&self, bytes: usize) {
        for piece in pieces(bytes) {
            tokio::time::sleep_until(self.reserve(piece, Instant::now())).await;
        }
    }

    fn reserve(&self, bytes: u64, now: Instant) -> Instant {
        let mut free_at = self.free_at.lock();
        let earliest = now.checked_sub(SPARE).unwrap_or(now);
        let from = free_at.unwrap_or(earliest).max(earliest);
        *free_at = Some(from + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.most));
        from
    }
}

/// What came at a time, in parts that are asked for one after the other.
fn pieces(bytes: usize) -> impl Iterator<Item = u64> {
    (0..bytes).step_by(PIECE).map(move |at| (bytes - at).min(PIECE) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_much_lets_the_next_wait() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert!(pace.reserve(MOST, now) <= now);
        let second = pace.reserve(MOST, now);
        assert!(second > now + Duration::from_millis(800) && second <= now + Duration::from_secs(1));
        assert!(pace.reserve(1, now + Duration::from_secs(60)) <= now + Duration::from_secs(60));
    }

    /// Has several come over one line, each so many bytes and so many of them at a time; after how long each was here.
    fn come(line: &Pace, moves: &[(usize, usize)]) -> Vec<f64> {
        let begun = Instant::now();
        let all = |(bytes, at_a_time): &(usize, usize)| {
            let (bytes, at_a_time) = (*bytes, *at_a_time);
            (0..bytes).step_by(at_a_time).flat_map(move |at| pieces(at_a_time.min(bytes - at))).collect::<Vec<_>>()
        };
        let mut streams: Vec<_> = moves.iter().map(|each| (begun, all(each).into_iter())).collect();
        let mut here = vec![0.0; moves.len()];
        // Whoever has waited out its piece asks for the next one.
        while let Some(next) = (0..streams.len()).filter(|at| streams[*at].1.len() > 0).min_by_key(|at| streams[*at].0)
        {
            let (now, pieces) = &mut streams[next];
            let piece = pieces.next().unwrap_or_default();
            *now = line.reserve(piece, *now).max(*now);
            here[next] = now.duration_since(begun).as_secs_f64();
        }
        here
    }

    #[test]
    fn three_over_one_line_have_a_third_each_though_one_is_huge_and_comes_in_long_pieces() {
        let line = Pace { most: 1 << 20, ..Pace::default() };
        let here = come(&line, &[(60 << 20, 512 << 10), (1 << 20, 16 << 10), (2 << 20, 64 << 10)]);
        // A third of the line each until the small one is here, then a half; and nothing of the line is left unused.
        assert!((2.7..3.2).contains(&here[1]), "{here:?}");
        assert!((4.7..5.2).contains(&here[2]), "{here:?}");
        assert!((62.5..63.2).contains(&here[0]), "{here:?}");
    }
}
