//! A page that is one table and what it means.

use crate::page::{self, Answer};
use crate::parts::{Fact, Table};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show;
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "operator/listing.html")]
pub(super) struct Listing {
    pub(super) shell: Shell,
    pub(super) title: &'static str,
    pub(super) lead: String,
    /// Another page about the same, and what it shows.
    pub(super) link: Option<(&'static str, &'static str)>,
    pub(super) seen: show::Moment,
    pub(super) problem: Option<String>,
    pub(super) table: Table,
    pub(super) extras: Vec<Extra>,
    pub(super) next: String,
}

/// A card under the table.
pub(super) struct Extra {
    pub(super) title: String,
    pub(super) facts: Vec<Fact>,
}

impl Listing {
    pub(super) async fn new(
        visit: &Visit,
        here: &'static str,
        title: &'static str,
        lead: String,
        table: Table,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            shell: Shell::of(visit, here, None).await?,
            seen: show::time(visit.console.plane().now()),
            title,
            lead,
            link: None,
            problem: None,
            table,
            extras: Vec::new(),
            next: String::new(),
        })
    }

    pub(super) fn beside(mut self, path: &'static str, words: &'static str) -> Self {
        self.link = Some((path, words));
        self
    }

    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    pub(super) fn show(&self) -> Answer {
        page::show(self)
    }
}
