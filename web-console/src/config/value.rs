//! Values as people write them, parsed. Every error is the mend: a sentence that says what to write.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn text(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

pub(super) fn path(value: &str) -> Result<PathBuf, String> {
    text(value)
        .map(PathBuf::from)
        .ok_or_else(|| "Write the path of a directory, like \"/var/lib/freehold\".".to_owned())
}

pub(super) fn address(value: &str) -> Result<SocketAddr, String> {
    value
        .trim()
        .parse()
        .map_err(|_| "Write an IP address and a port, like \"127.0.0.1:8080\" or \"[::]:80\".".to_owned())
}

pub(super) fn port(value: &str) -> Result<Option<u16>, String> {
    match value.trim() {
        "" | "0" => Ok(None),
        digits => digits
            .parse()
            .map(Some)
            .map_err(|_| "Write a port from 1 to 65535, or 0 for the one in `listen`.".to_owned()),
    }
}

/// How many of something: at least one.
pub(super) fn number(value: &str) -> Result<usize, String> {
    let number = value.trim().replace('_', "").parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "Write a whole number from 1 on, like 10000.".to_owned())
}

/// A name of letters, digits and hyphens between dots, lower case.
pub(super) fn domain(value: &str) -> Result<String, String> {
    let value = value.trim().trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if value.len() <= 190 && value.split('.').all(label) {
        Ok(value)
    } else {
        Err("Write a domain without scheme, port and path, like \"localhost\" or \"homes.example\".".to_owned())
    }
}

/// `20GB`, `500MB`, or bytes alone; nothing for no choice.
pub(super) fn bytes(value: &str) -> Result<Option<u64>, String> {
    let Some(value) = text(value) else { return Ok(None) };
    let mend = || "Write a whole number and a unit, like \"500MB\", \"20GB\" or \"2TB\".".to_owned();
    let (digits, unit) = value.split_at(value.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(value.len()));
    let number: u64 = digits.parse().map_err(|_| mend())?;
    let each: u64 = match unit.trim() {
        "" => 1,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(mend()),
    };
    number.checked_mul(each).map(Some).ok_or_else(mend)
}

/// `90s`, `5m`, `2h`, or seconds alone.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    let value = value.trim();
    let mend = || "Write a whole number and a unit, like \"30s\", \"5m\" or \"2h\".".to_owned();
    let (digits, unit) = value.split_at(value.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(value.len()));
    let number: u64 = digits.parse().map_err(|_| mend())?;
    let seconds = match unit.trim() {
        "s" | "" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        "ms" => return Ok(Duration::from_millis(number)),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| (1..=86_400 * 30).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_that_exists() {
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "m", "5 minutes", "-1s", "0s", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn sizes_are_whole_and_fit() {
        assert_eq!(bytes("20 GB"), Ok(Some(20_000_000_000)));
        assert_eq!(bytes("4096"), Ok(Some(4096)));
        assert_eq!(bytes(" "), Ok(None));
        for bad in ["GB", "1.5GB", "20GiB", "-1MB", "99999999TB"] {
            assert!(bytes(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_domain_is_no_address() {
        assert_eq!(domain("Homes.Example."), Ok("homes.example".to_owned()));
        for bad in ["", "http://a.b", "a..b", "a_b", "a.b:80", "-a.b", "a/b"] {
            assert!(domain(bad).is_err(), "{bad:?} was taken");
        }
    }
}
