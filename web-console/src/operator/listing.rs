//! A page that is one table and what it means; a long one is read a page at a time and can be searched.

use control_plane::paging::{Ask, Page, Place};
use serde::Deserialize;

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
    /// Other pages about the same, and what they show.
    pub(super) links: Vec<(&'static str, &'static str)>,
    pub(super) seen: show::Moment,
    pub(super) problem: Option<String>,
    pub(super) finder: Option<Finder>,
    pub(super) table: Table,
    pub(super) extras: Vec<Extra>,
    pub(super) next: String,
}

/// A card under the table.
pub(super) struct Extra {
    pub(super) title: String,
    pub(super) facts: Vec<Fact>,
}

/// What a page of a long list is asked for with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) q: String,
    pub(super) only: String,
    /// Of the page that tells of one month.
    pub(super) month: String,
    pub(super) older: String,
    pub(super) newer: String,
}

impl Asked {
    /// As the control plane takes it.
    pub(super) fn ask(&self) -> Ask {
        let cut = |text: &str| text.chars().take(100).collect::<String>();
        let place = match (self.older.as_str(), self.newer.as_str()) {
            ("", "") => Place::Newest,
            ("", newer) => Place::NewerThan(cut(newer)),
            (older, _) => Place::OlderThan(cut(older)),
        };
        Ask { search: cut(self.q.trim()), only: cut(&self.only), place }
    }

    /// Whether less than everything is asked for.
    pub(super) fn is_narrow(&self) -> bool {
        !(self.q.trim().is_empty() && self.only.is_empty())
    }

    /// What a list says when it holds nothing.
    pub(super) fn or_nothing(&self, heads: &[&'static str], empty: &'static str, empty_hint: &'static str) -> Table {
        if self.is_narrow() {
            return Table::new(heads, "Nothing matches", "Search for less of it, or look at all.");
        }
        if !(self.older.is_empty() && self.newer.is_empty()) {
            return Table::new(heads, "Nothing more", "The list ends here.");
        }
        Table::new(heads, empty, empty_hint)
    }
}

/// The search over a long list, and the ways to its other pages.
pub(super) struct Finder {
    pub(super) action: &'static str,
    /// What can be searched for.
    pub(super) label: &'static str,
    pub(super) asked: Asked,
    /// A choice of states: the word in the address, and the one people read.
    pub(super) states: &'static [(&'static str, &'static str)],
    pub(super) newer: Option<String>,
    pub(super) older: Option<String>,
}

impl Finder {
    pub(super) fn new<T>(
        action: &'static str,
        label: &'static str,
        states: &'static [(&'static str, &'static str)],
        asked: Asked,
        page: &Page<T>,
    ) -> Self {
        let at = |side: &str, id: &Option<String>| {
            id.as_ref().map(|id| asked.address(action, &asked.only, Some((side, id))))
        };
        let (newer, older) = (at("newer", &page.newer), at("older", &page.older));
        Self { action, label, states, newer, older, asked }
    }

    /// The first page of what is asked for, when another one is shown.
    pub(super) fn newest(&self) -> Option<String> {
        let elsewhere = !(self.asked.older.is_empty() && self.asked.newer.is_empty());
        elsewhere.then(|| self.asked.address(self.action, &self.asked.only, None))
    }

    /// The same search among those in one state.
    pub(super) fn among(&self, state: &str) -> String {
        self.asked.address(self.action, state, None)
    }
}

impl Asked {
    /// The address of a page of the same list.
    fn address(&self, action: &str, only: &str, place: Option<(&str, &str)>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let said = [("month", self.month.as_str()), ("q", self.q.trim()), ("only", only)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        query.extend_pairs(said.chain(place));
        let query = query.finish();
        if query.is_empty() { action.to_owned() } else { format!("{action}?{query}") }
    }
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
            links: Vec::new(),
            problem: None,
            finder: None,
            table,
            extras: Vec::new(),
            next: String::new(),
        })
    }

    pub(super) fn beside(mut self, path: &'static str, words: &'static str) -> Self {
        self.links.push((path, words));
        self
    }

    pub(super) fn found_by(mut self, finder: Finder) -> Self {
        self.finder = Some(finder);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_another_page_keeps_what_was_searched_for() {
        let asked = Asked { q: " a&b ".into(), only: "open".into(), ..Asked::default() };
        let page = Page::<()> { items: Vec::new(), newer: None, older: Some("inv_1".into()) };
        let finder = Finder::new("/operator/invoices", "Number", &[], asked, &page);
        assert_eq!(finder.older.as_deref(), Some("/operator/invoices?q=a%26b&only=open&older=inv_1"));
        assert_eq!(finder.newer, None);
        assert_eq!(finder.newest(), None);
        assert_eq!(finder.among("paid"), "/operator/invoices?q=a%26b&only=paid");
        assert_eq!(finder.among(""), "/operator/invoices?q=a%26b");
    }
}
