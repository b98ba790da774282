//! What browsers see: the launcher, the owner's few pages, the public home page, and the pages of apps.
//!
//! Two kinds of origin, never mixed. On the server's own origin only our pages run, without a script, and what
//! visitors see of the owner's home page is sandboxed. On an app's origin only that app runs, under a policy of its
//! own.

pub(crate) mod app_origin;
pub(crate) mod blob;
mod code;
mod enter;
mod handlers;
mod home_address;
pub(crate) mod html;
mod launcher;
mod owner;
mod people;
pub(crate) mod place;
mod plain;
mod policy;
mod public_page;
mod published;
mod schedules;
pub(crate) mod shared;
mod started;
pub(crate) mod trouble;
mod wrap;

pub(crate) use enter::local_path;
pub(crate) use home_address::{router as server_origin, style};
pub(crate) use html::is_whole as is_whole_page;
pub(crate) use plain::{Note, note};
pub(crate) use policy::guard;

/// The palette, type and measures of every page of ours: the console's, the server's and the first apps'.
pub const TOKENS: &str = include_str!("assets/tokens.css");

/// A number of bytes as people read it.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} bytes"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// The media type a file of code is served with; text says that it is UTF-8.
#[must_use]
pub fn media_type(path: &str) -> String {
    let extension = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let known = match extension.as_str() {
        "js" | "mjs" => Some("text/javascript"),
        "webmanifest" => Some("application/manifest+json"),
        "wasm" => Some("application/wasm"),
        _ => None,
    };
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let essence = known.unwrap_or_else(|| guess.essence_str());
    match essence {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        "image/svg+xml" | "application/json" | "application/manifest+json" => format!("{essence}; charset=utf-8"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let all = [0, 999, 1_000, 12_345, 999_600, 12_400_000_000].map(bytes);
        assert_eq!(all, ["0 bytes", "999 bytes", "1.0 kB", "12 kB", "1.0 MB", "12 GB"]);
    }

    #[test]
    fn code_has_the_types_browsers_insist_on() {
        assert_eq!(media_type("kit/api.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("a.css"), "text/css; charset=utf-8");
        assert_eq!(media_type("a.svg"), "image/svg+xml; charset=utf-8");
        assert_eq!(media_type("a.bin"), "application/octet-stream");
    }
}
