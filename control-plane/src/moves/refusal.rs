//! What one provider tells another that it will not do, and by which word (MOVE.md 10).

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::{Error, Kind, Problem};

/// How soon to ask again what could not be answered now, in seconds.
const AGAIN: u64 = 2;

/// What is the matter, for the other provider's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// There is no common version of the protocol.
    Version,
    /// What was sent cannot be read.
    Malformed,
    /// There is no such token, it has expired, or it was withdrawn.
    Token,
    /// There is no such move or round.
    NotFound,
    /// Something else was agreed on, or asked for under this name.
    Conflict,
    /// Something was written since the round's moment.
    Behind,
    /// The payload is another.
    Differs,
    /// The source has stood down already.
    Handed,
    /// The move was cancelled.
    Cancelled,
    /// It can be asked again in a moment.
    Busy,
}

impl Word {
    /// As it stands at the end of a problem's type.
    pub fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::Token => "token",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Behind => "behind",
            Self::Differs => "differs",
            Self::Handed => "handed",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Version | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict | Self::Behind | Self::Differs | Self::Handed => StatusCode::CONFLICT,
            Self::Cancelled => StatusCode::GONE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a call of another provider is not answered. One without a word is our fault.
#[derive(Debug)]
pub struct Refusal {
    word: Option<Word>,
    error: Error,
}

/// The answer to a call of another provider.
pub type Answer<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// Refuses by this word, with a sentence for whoever reads the other provider's log.
    pub fn new(word: Word, sentence: &'static str) -> Self {
        Self { word: Some(word), error: Error::new(Kind::Fix, sentence) }
    }

    /// Refuses by this word for what went wrong here.
    pub(crate) fn by(word: Word, error: Error) -> Self {
        Self { word: Some(word), error }
    }

    /// The word, unless it is our fault.
    pub fn word(&self) -> Option<Word> {
        self.word
    }

    /// The sentence.
    pub fn sentence(&self) -> &str {
        self.error.sentence()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let word = match error.kind() {
            Kind::Retry | Kind::Full => Some(Word::Busy),
            Kind::Gone => Some(Word::NotFound),
            Kind::Conflict => Some(Word::Conflict),
            Kind::SignIn | Kind::Denied => Some(Word::Token),
            Kind::Fix => Some(Word::Malformed),
            Kind::Bug => None,
        };
        Self { word, error }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Some(word) = self.word else { return self.error.into_response() };
        tracing::debug!(word = word.word(), error = self.error.chain(), "another provider was refused something");
        let kind = format!("https://pcc.example/problems/{}", word.word());
        let retry_after = (word == Word::Busy).then_some(AGAIN);
        Problem { kind, retry_after, ..Problem::new(word.status(), self.error.sentence()) }.into_response()
    }
}
