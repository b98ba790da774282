//! What can stand in the activity log. The words are those of the archive format (SPEC.md 12.6).

use export_format::history;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tenant_runtime::ids::ServerId;

use super::EventId;
use crate::Actor;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A server was made.
    Create,
    /// Its end was agreed.
    Close,
    /// Its end was taken back.
    Reopen,
    /// Its end was carried out.
    Erase,
    /// Somebody came.
    SignIn,
    /// Somebody was turned away.
    SignInFailed,
    /// Somebody left, or a device was made to.
    SignOut,
    /// About an archive that leaves.
    Export,
    /// About an archive that comes.
    Import,
    /// An archive was taken in on trial and compared.
    Drill,
    /// The server goes from one provider to another.
    Move,
    /// An import or a going back was taken back.
    Undo,
    /// A moment of the past was brought back.
    Restore,
    /// An app was installed.
    Install,
    /// An app was brought up to date, or an update of it failed.
    Update,
    /// An app was removed.
    Remove,
    /// An app was allowed something.
    Grant,
    /// An app was not allowed something, or no longer.
    Revoke,
    /// A setting was changed.
    Settings,
    /// A bill was written, or taken back.
    Bill,
    /// A bill was paid.
    Pay,
    /// The server was closed for want of payment.
    Lock,
    /// It was opened again.
    Unlock,
}

impl What {
    const ALL: [Self; 23] = [
        Self::Create,
        Self::Close,
        Self::Reopen,
        Self::Erase,
        Self::SignIn,
        Self::SignInFailed,
        Self::SignOut,
        Self::Export,
        Self::Import,
        Self::Drill,
        Self::Move,
        Self::Undo,
        Self::Restore,
        Self::Install,
        Self::Update,
        Self::Remove,
        Self::Grant,
        Self::Revoke,
        Self::Settings,
        Self::Bill,
        Self::Pay,
        Self::Lock,
        Self::Unlock,
    ];

    /// The word in the database and in archives.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Close => "close",
            Self::Reopen => "reopen",
            Self::Erase => "erase",
            Self::SignIn => "sign-in",
            Self::SignInFailed => "sign-in-failed",
            Self::SignOut => "sign-out",
            Self::Export => "export",
            Self::Import => "import",
            Self::Drill => "drill",
            Self::Move => "move",
            Self::Undo => "undo",
            Self::Restore => "restore",
            Self::Install => "install",
            Self::Update => "update",
            Self::Remove => "remove",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Settings => "settings",
            Self::Bill => "bill",
            Self::Pay => "pay",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }

    /// What the word stands for.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.word() == word)
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The owner of the account.
    Owner,
    /// Who runs the business.
    Operator,
    /// The provider's own program, by a schedule or because its work was done.
    Provider,
    /// Nobody knows.
    Unknown,
}

impl Who {
    const ALL: [Self; 4] = [Self::Owner, Self::Operator, Self::Provider, Self::Unknown];

    /// The word in the database and in archives.
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Provider => "provider",
            Self::Unknown => "unknown",
        }
    }

    /// Who is called so.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|who| who.word() == word)
    }

    /// Who asks for what only an owner and this program may do.
    pub(crate) fn of_owners(actor: &Actor) -> Self {
        if *actor == Actor::System { Self::Provider } else { Self::Owner }
    }

    /// Who asks for what only who runs the business and this program may do.
    pub(crate) fn of_operators(actor: &Actor) -> Self {
        if *actor == Actor::System { Self::Provider } else { Self::Operator }
    }
}

impl From<Who> for history::Who {
    fn from(who: Who) -> Self {
        Self::new(match who {
            Who::Owner => history::WhoKind::Owner,
            Who::Operator => history::WhoKind::Operator,
            Who::Provider => history::WhoKind::Provider,
            Who::Unknown => history::WhoKind::Unknown,
        })
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// It was not allowed.
    Refused,
    /// It could not be done.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    /// The word in the database and in archives.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The outcome that is called so.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

impl From<Outcome> for history::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Refused => Self::Refused,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name for programs.
    pub id: EventId,
    /// The server it is about, unless it is about the account as a whole.
    pub server: Option<ServerId>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// By whom.
    pub who: Who,
    /// How it ended, where that is told.
    pub outcome: Option<Outcome>,
    /// A sentence for the person.
    pub text: String,
    /// What it is about, for programs.
    pub about: Map<String, Value>,
}

impl From<Event> for history::Event {
    fn from(event: Event) -> Self {
        let mut told =
            Self::new(event.id.to_string(), event.at.to_string(), event.what.word(), event.who.into(), event.text);
        told.about = event.about;
        told.outcome = event.outcome.map(Into::into);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_stands_in_the_format() {
        let spec = include_str!("../../../export-format/SPEC.md");
        for what in What::ALL {
            assert_eq!(What::read(what.word()), Some(what));
            assert!(spec.contains(&format!("`{}`", what.word())), "SPEC.md 12.6 does not know {:?}", what.word());
        }
        assert!(Who::ALL.iter().all(|who| Who::read(who.word()) == Some(*who)));
        assert!(Outcome::ALL.iter().all(|outcome| Outcome::read(outcome.word()) == Some(*outcome)));
        assert_eq!(What::read("else"), None);
    }
}
