//! Every route of the console, with who may pass.
//!
//! A route can only be added together with its [`Who`], so none can be forgotten: the table *is* the router, the check
//! happens before the handler runs, and a test walks the table with every kind of visitor. The domain functions check
//! authority once more, by the actor they are given.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use crate::context::Console;

/// Who may pass a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Anybody, even before the business is set up.
    Anybody,
    /// Anybody, once the business is set up.
    Visitor,
    /// Whoever is signed in.
    Account,
    /// Who runs the business.
    Operator,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Door {
    /// The method.
    pub method: Method,
    /// The path, in the router's own notation.
    pub path: &'static str,
    /// Who may pass.
    pub who: Who,
}

/// The routes while they are put together.
pub(crate) struct Doors {
    pub(crate) table: Vec<Door>,
    pub(crate) router: Router<Console>,
}

impl Doors {
    pub(crate) fn new() -> Self {
        Self { table: Vec::new(), router: Router::new() }
    }

    pub(crate) fn get<H, T>(self, path: &'static str, who: Who, handler: H) -> Self
    where
        H: Handler<T, Console>,
        T: 'static,
    {
        self.add(Method::GET, MethodFilter::GET, path, who, handler)
    }

    pub(crate) fn post<H, T>(self, path: &'static str, who: Who, handler: H) -> Self
    where
        H: Handler<T, Console>,
        T: 'static,
    {
        self.add(Method::POST, MethodFilter::POST, path, who, handler)
    }

    /// A route that takes bodies of any length, as a stream.
    pub(crate) fn upload<H, T>(self, method: Method, path: &'static str, who: Who, handler: H) -> Self
    where
        H: Handler<T, Console>,
        T: 'static,
    {
        let filter = if method == Method::PATCH { MethodFilter::PATCH } else { MethodFilter::POST };
        let mut doors = self;
        doors.table.push(Door { method, path, who });
        doors.router = doors.router.route(path, on(filter, handler).layer(DefaultBodyLimit::disable()));
        doors
    }

    fn add<H, T>(mut self, method: Method, filter: MethodFilter, path: &'static str, who: Who, handler: H) -> Self
    where
        H: Handler<T, Console>,
        T: 'static,
    {
        self.table.push(Door { method, path, who });
        self.router = self.router.route(path, on(filter, handler));
        self
    }
}
