//! What went wrong, as far as the caller may know and can do something about it.
//!
//! Leaves have error enums of their own; here they become one public sentence and one coarse [`Kind`] that says what to
//! do. What is behind it stays the source, goes to the log, and never onto a page.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is wrong with the question: ask again in a while.
    Retry,
    /// Ask differently; [`Error::field`] names what to mend.
    Fix,
    /// Say who you are.
    SignIn,
    /// Not yours to do.
    Denied,
    /// Not there, or not yours to know of.
    Gone,
    /// It was there first, or has changed meanwhile.
    Conflict,
    /// There is no room.
    Full,
    /// Our fault.
    Bug,
}

/// An error of the control plane.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    sentence: Cow<'static, str>,
    field: Option<&'static str>,
    wait: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of a control-plane function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of any kind.
    pub fn new(kind: Kind, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, sentence: sentence.into(), field: None, wait: None, source: None }
    }

    /// A form field that cannot be, and why.
    pub fn fix(field: &'static str, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field), ..Self::new(Kind::Fix, sentence) }
    }

    /// Something else came first.
    pub fn conflict(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, sentence)
    }

    /// Not there, or not yours to know of.
    pub fn gone(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Gone, sentence)
    }

    /// Ask again in a while.
    pub fn retry(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Retry, sentence)
    }

    /// There is no room.
    pub fn full(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Full, sentence)
    }

    /// Known to us, but not allowed to do this.
    pub fn denied() -> Self {
        Self::new(Kind::Denied, "You may not do that.")
    }

    /// Not known to us.
    pub fn sign_in() -> Self {
        Self::new(Kind::SignIn, "Sign in first.")
    }

    /// Our fault; `source` is for the log.
    pub fn bug(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Bug, "Something went wrong on our side. Nothing you had saved is lost.").because(source)
    }

    /// Adds what is behind it, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Names the form field it is about.
    #[must_use]
    pub fn about(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Says when to ask again, because it was asked too often.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// When to ask again, after asking too often.
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// One sentence, or a few, for people.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// The form field to mark.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// The sentence and everything behind it, for one line of a log.
    pub fn chain(&self) -> String {
        let mut text = self.sentence.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
                Self::retry("Our records cannot be reached just now. Nothing is lost; try again in a minute.")
                    .because(error)
            }
            _ if is_disk_full(&error) => {
                Self::full("Our disk is full. What you had saved is safe; nothing new can be kept just now.")
                    .because(error)
            }
            _ => Self::bug(error),
        }
    }
}

impl From<crate::db::Error> for Error {
    fn from(error: crate::db::Error) -> Self {
        Self::new(Kind::Fix, error.to_string()).because(error)
    }
}

/// SQLITE_FULL, and PostgreSQL's `disk_full`.
fn is_disk_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "13" || code == "53100")
}
