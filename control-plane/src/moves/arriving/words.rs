//! Figures as the log and the letters of a move tell them.

use export_format::signature::SigningKey;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `12.4 GB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.95 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Thousands apart: `104,212`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A stretch of milliseconds: `0.4 seconds`, `3 minutes`.
pub(super) fn spell(ms: i64) -> String {
    match ms.max(0) {
        ms @ 0..60_000 => format!("{}.{} seconds", ms / 1000, ms % 1000 / 100),
        ms => format!("{} minutes", (ms + 30_000) / 60_000),
    }
}

/// `28 February 2027`, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y").to_string()
}

/// That so much does not fit.
pub(super) fn too_big(bytes: u64, room: u64) -> String {
    format!(
        "What would come has {}, and your plan here holds {}. Take a plan with more room, and begin again.",
        size(bytes),
        size(room)
    )
}

/// The fingerprint of the key that a server's name stands for.
pub(super) fn fingerprint(did: &str) -> Option<String> {
    SigningKey::of_did(did).map(|key| key.fingerprint())
}

/// What a stranger calls itself or a person, as far as it stands on our pages.
pub(super) fn name(written: &str) -> String {
    written.chars().filter(|sign| !sign.is_control()).take(80).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([size(7), size(13_314_398_617)], ["7 bytes", "13.3 GB"]);
        assert_eq!([count(7), count(104_212), count(1_000_000)], ["7", "104,212", "1,000,000"]);
        assert_eq!([spell(412), spell(2_000), spell(180_000)], ["0.4 seconds", "2.0 seconds", "3 minutes"]);
    }
}
