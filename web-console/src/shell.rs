//! The frame around every page: brand, plate, navigation, the token of the forms, and the toast after something was done.

use control_plane::servers::Server;
use control_plane::{Actor, Error};

use crate::refusal::Refusal;
use crate::visit::Visit;

/// The enamel plate with an address on it.
#[derive(Debug, Clone)]
pub(crate) struct Plate {
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) asleep: bool,
}

impl Plate {
    pub(crate) fn new(name: &str, domain: &str) -> Self {
        Self { name: name.to_owned(), domain: domain.to_owned(), asleep: false }
    }

    pub(crate) fn of(server: &Server) -> Self {
        Self::new(&server.site.name, &server.site.domain)
    }

    /// The labels after the name: lines break before their dots and nowhere else.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.domain.split('.')
    }

    /// Which class keeps the longest piece on one line.
    pub(crate) fn piece(&self) -> &'static str {
        let longest = self.parts().map(|part| part.len() + 1).chain([self.name.len()]).max().unwrap_or(0);
        match longest {
            0..=20 => "piece-20",
            21..=28 => "piece-28",
            29..=40 => "piece-40",
            _ => "piece-63",
        }
    }
}

/// What was just done, and how to take it back.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) words: String,
    pub(crate) undo: Option<String>,
}

/// The frame around every page.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    pub(crate) brand: String,
    pub(crate) token: String,
    pub(crate) signed_in: bool,
    pub(crate) here: &'static str,
    pub(crate) person: String,
    pub(crate) initials: String,
    pub(crate) plate: Option<Plate>,
    pub(crate) server_path: String,
    pub(crate) apps_path: String,
    pub(crate) leave_path: String,
    pub(crate) export_path: String,
    pub(crate) said: Option<Said>,
}

impl Shell {
    /// The frame of pages that know nobody yet, and of errors.
    pub(crate) fn bare(visit: &Visit) -> Self {
        Self {
            brand: visit.business.name.clone(),
            token: visit.token(),
            signed_in: matches!(visit.actor, Actor::Account(_) | Actor::Operator(_)),
            here: "",
            person: String::new(),
            initials: String::new(),
            plate: None,
            server_path: "/".into(),
            apps_path: "/".into(),
            leave_path: "/leave".into(),
            export_path: "/leave".into(),
            said: None,
        }
    }

    /// The frame of pages of somebody who is signed in; `server` is the one they look at.
    pub(crate) async fn of(visit: &Visit, here: &'static str, server: Option<&Server>) -> Result<Self, Refusal> {
        let id = visit.actor.account().ok_or_else(|| Refusal::of(Error::sign_in()))?;
        let account = control_plane::accounts::account(visit.console.plane(), &visit.actor, id).await?;
        let person = if account.display_name.is_empty() {
            account.email.as_str().to_owned()
        } else {
            account.display_name.clone()
        };
        let mut shell = Self { here, initials: initials(&person), person, ..Self::bare(visit) };
        if let Some(server) = server {
            let base = format!("/servers/{}", server.name);
            shell.plate = Some(Plate::of(server));
            shell.apps_path = format!("{base}/apps");
            shell.leave_path = format!("{base}/leave");
            shell.export_path = format!("{base}/export");
            shell.server_path = base;
        }
        Ok(shell)
    }

    /// Adds the toast after something was done.
    pub(crate) fn saying(mut self, words: impl Into<String>, undo: Option<String>) -> Self {
        self.said = Some(Said { words: words.into(), undo });
        self
    }
}

fn initials(person: &str) -> String {
    let words = person.split(|sign: char| sign.is_whitespace() || sign == '@').filter(|word| !word.is_empty());
    words.take(2).filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_gets_a_smaller_plate() {
        assert_eq!(Plate::new("anna", "freehold.example").piece(), "piece-20");
        assert_eq!(Plate::new(&"a".repeat(40), "localhost").piece(), "piece-40");
    }

    #[test]
    fn initials_come_from_names_and_addresses() {
        assert_eq!([initials("Anna Berg"), initials("anna@berg.at"), initials("Ö")], ["AB", "AB", "Ö"]);
    }
}
