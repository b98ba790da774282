//! The documented file with every key, made from the list of keys: it cannot lag behind the program.

use std::fmt::Write as _;

use super::keys::KEYS;

/// The whole configuration as TOML, every key explained, at its default, with the variable that overrides it.
///
/// Keys stand commented out with `#?`, because a file should say only what differs.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Freehold: configuration. Every key has a default; write down only what should differ.\n\
         # A line that begins with `#?` shows a key at its default: remove `#? ` to change it.\n\
         # Above the file stands the environment, above both the options of the command line.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (above, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if above != section {
            section = above;
            let _ = write!(text, "\n[{section}]\n");
        }
        text.push('\n');
        for line in key.doc.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let value = if key.quoted { format!("{:?}", key.default) } else { key.default.to_owned() };
        let _ = writeln!(text, "# Environment: {}", key.environment());
        let _ = writeln!(text, "#? {name} = {value}");
    }
    text
}
