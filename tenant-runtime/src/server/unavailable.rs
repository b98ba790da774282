//! What a server answers that cannot serve: always the same, and the reason in words.
//!
//! What passes by itself, such as a storage that does not answer, is tried again by the next runtime: this one says so
//! for a moment and ends (see [`Error::passes`]), and the browser's next question wakes another.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::Error;
use crate::pages::{guard, style, trouble};
use crate::problem::Problem;
use crate::{schema, sessions, store};

/// After how many seconds it is worth asking again.
const SOON: u32 = 5;
const LATER: u32 = 60;

#[derive(Clone, Copy)]
struct Why {
    title: &'static str,
    detail: &'static str,
    code: &'static str,
    again: u32,
}

impl Why {
    fn status(self) -> StatusCode {
        match self.code {
            "host_full" => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Error {
    /// Whether another try may succeed without anybody doing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            // What came over the line wrongly once may come rightly the next time.
            Self::Home(store::Error::Damaged { .. })
            | Self::Sessions(sessions::Error::Store(store::Error::Damaged { .. })) => true,
            Self::Home(error) | Self::Sessions(sessions::Error::Store(error)) => {
                matches!(error.kind(), store::Kind::Retry | store::Kind::Full)
            }
            Self::Read { code, .. } => matches!(*code, "storage_wrong" | "storage_busy" | "host_full"),
            _ => false,
        }
    }

    fn why(&self) -> Why {
        let newer = Why {
            title: "This server waits for its newer release",
            detail: "The server's data was last used by a newer release than the one that runs now. It is untouched and safe. The provider has been told and must install the newer release again; then the server opens by itself.",
            code: "newer_home",
            again: LATER,
        };
        let closed = Why {
            title: "This server cannot open its data",
            detail: "The server's data cannot be opened at present. Nothing has been changed or removed; the provider has been told and must look.",
            code: "cannot_open",
            again: LATER,
        };
        let wrong = Why {
            title: "The storage gave back something wrong",
            detail: "The storage behind this server gave back something else than was saved, and that was noticed. Nothing wrong is shown and nothing was changed; it is read again with your next visit, and the provider has been told.",
            code: "storage_wrong",
            again: SOON,
        };
        let full = Why {
            title: "The provider has no room just now",
            detail: "The server could not start, because the provider's own disk is full, not your plan. Everything saved is safe. The provider has been told and must make room; the server starts by itself then.",
            code: "host_full",
            again: SOON,
        };
        let busy = Why {
            title: "The storage does not answer just now",
            detail: "The server could not reach its storage. Everything saved there is safe, and the server starts by itself as soon as the storage answers.",
            code: "storage_busy",
            again: SOON,
        };
        match self {
            Self::Schema(schema::Error::Newer { .. })
            | Self::Home(store::Error::Newer { .. } | store::Error::NewerLayout { .. }) => newer,
            Self::Home(store::Error::Damaged { .. })
            | Self::Sessions(sessions::Error::Store(store::Error::Damaged { .. })) => wrong,
            Self::Home(error) | Self::Sessions(sessions::Error::Store(error)) => match error.kind() {
                store::Kind::Full => full,
                store::Kind::Retry => busy,
                _ => closed,
            },
            Self::Read { code: "storage_wrong", .. } => wrong,
            Self::Read { code: "storage_busy", .. } => busy,
            Self::Read { code: "host_full", .. } => full,
            Self::Schema(_) | Self::Sessions(_) | Self::Read { .. } => closed,
            Self::Key | Self::NoBroker => Why {
                title: "This server is not set up completely",
                detail: "The provider has not set this server up completely. The server's data is untouched.",
                code: "not_set_up",
                again: LATER,
            },
        }
    }
}

/// A router that says why there is no service.
pub fn unavailable(error: &Error) -> Router {
    let why = error.why();
    Router::new()
        .route("/.freehold/style.css", get(style))
        .fallback(move |headers: HeaderMap| async move { answer(&headers, why) })
}

fn answer(headers: &HeaderMap, why: Why) -> Response {
    let mut response = if trouble::is_visit(headers) {
        trouble::out_of_order(why.status(), why.title, why.detail, why.again)
    } else {
        Problem::new(why.status(), why.code, why.detail).into_response()
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(why.again));
    guard(response.headers_mut());
    response
}
