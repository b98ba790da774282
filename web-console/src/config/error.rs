//! A mistake in the configuration: which key, where, and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, counted from one.
    Line(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// An option of the command line.
    Option(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(to, "{} line {line}", path.display()),
            Self::Environment(name) => write!(to, "the environment variable {name}"),
            Self::Option(name) => write!(to, "the option {name}"),
        }
    }
}

/// A mistake in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read. Name an existing file with --config, or leave it out: every key has a default", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("{place}: this is not TOML: {message}. `freehold config` prints a file to start from")]
    Syntax {
        /// Where it stops making sense.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key that names a file names one that cannot be read.
    #[error("`{key}` names {}, which cannot be read. Check that it is there and that this user may read it", path.display())]
    Unread {
        /// Which key.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Keys that mean something only together do not fit together.
    #[error("`{key}` {mend}")]
    Apart {
        /// The key to look at first.
        key: &'static str,
        /// What is wrong, and what to do.
        mend: &'static str,
    },
    /// There is no such key.
    #[error("{place}: there is no key `{key}`. {mend}")]
    Unknown {
        /// The key as written.
        key: String,
        /// Where.
        place: Place,
        /// What to do.
        mend: String,
    },
    /// The key exists, its value does not do.
    #[error("{place}: `{key}` is {value:?}. {mend}")]
    Bad {
        /// Which key.
        key: String,
        /// The value as written.
        value: String,
        /// Where.
        place: Place,
        /// What to write instead.
        mend: String,
    },
}

impl ConfigError {
    pub(crate) fn unknown(key: &str, place: Place, near: Option<String>) -> Self {
        let mend = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "`freehold config` prints every key there is.".to_owned(),
        };
        Self::Unknown { key: key.to_owned(), place, mend }
    }

    pub(crate) fn bad(key: &str, value: &str, place: Place, mend: String) -> Self {
        Self::Bad { key: key.to_owned(), value: value.to_owned(), place, mend }
    }
}
