//! How long each way of leaving takes for this very server, and how that is known.

use control_plane::operations::{Known, Spans};

use crate::show::{self, Amount, Spell};

/// What is said of each way.
pub(super) struct Times {
    pub(super) download: String,
    pub(super) moved: String,
    pub(super) storage: String,
    pub(super) home: String,
}

impl Times {
    /// `bytes` is what is on the server, when it told.
    pub(super) fn of(spans: &Spans, bytes: Option<u64>) -> Self {
        Self {
            download: format!(
                "{} The way to your computer comes on top, as fast as your own line is.",
                said(&spans.export, bytes, ["its last archive was ready", "archives"])
            ),
            moved: match (&spans.moved, &spans.drill) {
                (Known::Nothing, Known::Nothing) => said(&Known::Nothing, bytes, ["", ""]),
                (Known::Nothing, drill) => format!(
                    "No server has moved here yet. {}",
                    said(
                        drill,
                        bytes,
                        [
                            "its last test, which makes an archive, takes it in elsewhere and gives it out again, was over",
                            "such tests"
                        ]
                    )
                ),
                (moved, _) => said(moved, bytes, ["its last move was over", "moves"]),
            },
            storage: said(&spans.copy, bytes, ["its last copy lay there", "copies to such storage"]),
            home: said(
                &spans.drill,
                bytes,
                [
                    "its last test, in which another server took its archive in and gave it out again, was over",
                    "such tests",
                ],
            ),
        }
    }
}

/// `own` is what was measured and what several of it are called.
fn said(known: &Known, bytes: Option<u64>, own: [&str; 2]) -> String {
    match known {
        Known::Measured(span) => {
            let took = Spell(u64::try_from(span.took.as_millis()).unwrap_or(u64::MAX));
            let day = show::day(span.at).words();
            format!("Measured on this server: {} after {took}, on {day}, with {}.", own[0], Amount(span.bytes))
        }
        Known::Others { count, .. } => match bytes.and_then(|bytes| Some((bytes, known.expects(bytes)?))) {
            Some((bytes, expected)) => format!(
                "Estimated: {}, going by your {} and the last {count} {} on this machine. It was not measured on this server yet.",
                show::about(expected),
                Amount(bytes),
                own[1]
            ),
            None => "Your server did not tell its size just now, so its time cannot be estimated.".to_owned(),
        },
        Known::Nothing => "Not known: it was never measured on this server, nor on this machine.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use control_plane::operations::Span;

    use super::*;

    #[test]
    fn each_way_says_how_long_it_takes_and_how_that_is_known() {
        let span = Span {
            at: "2026-11-20T12:00:00Z".parse().expect("a moment"),
            bytes: 12_000_000,
            took: Duration::from_secs(12),
        };
        let others = Known::Others { count: 3, bytes: 30_000_000, took: Duration::from_secs(180) };
        let spans = Spans { export: Known::Measured(span), copy: others, moved: Known::Nothing, drill: Known::Nothing };
        let times = Times::of(&spans, Some(20_000_000));
        assert!(
            times.download.starts_with("Measured on this server: its last archive was ready after 12"),
            "{}",
            times.download
        );
        assert!(
            times.storage.starts_with("Estimated: about 2 minutes")
                && times.storage.contains("not measured on this server")
        );
        assert!(times.moved.starts_with("Not known") && times.home.contains("never measured"));
        assert!(Times::of(&spans, None).storage.contains("did not tell its size"));
        let tested = Spans { drill: Known::Measured(span), ..spans };
        let times = Times::of(&tested, None);
        assert!(
            times.home.starts_with("Measured") && times.moved.starts_with("No server has moved here yet. Measured")
        );
    }
}
