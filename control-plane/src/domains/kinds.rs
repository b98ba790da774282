//! How a domain stands, what it is for and where it came from.

/// How a domain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It came with an archive; its owner has not said that it is to be proved here.
    Wanted,
    /// Its proof is waited for.
    Proving,
    /// It leads here.
    Proved,
    /// It leads here still, but its proof is gone.
    Failing,
    /// It does not lead here, and nothing more is done about it.
    GivenUp,
    /// Its owner removed it.
    Removed,
}

impl State {
    const ALL: [Self; 6] = [Self::Wanted, Self::Proving, Self::Proved, Self::Failing, Self::GivenUp, Self::Removed];

    /// The word in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Proving => "proving",
            Self::Proved => "proved",
            Self::Failing => "failing",
            Self::GivenUp => "given_up",
            Self::Removed => "removed",
        }
    }

    /// Whether requests for the name reach the server.
    pub fn is_served(self) -> bool {
        matches!(self, Self::Proved | Self::Failing)
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.word() == text).ok_or(format!("{text:?} is no state of a domain"))
    }
}

/// What a domain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The address that the server itself goes by, once it is proved.
    Primary,
    /// Another address of the server.
    Alias,
    /// The address of one app.
    App,
}

impl Role {
    const ALL: [Self; 3] = [Self::Primary, Self::Alias, Self::App];

    /// The word in the database and in archives.
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Alias => "alias",
            Self::App => "app",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or(format!("{text:?} is no role of a domain"))
    }
}

/// Where a wish came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// An archive.
    Import,
    /// A move from another provider.
    Move,
}

impl Came {
    /// The word in the database.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Move => "move",
        }
    }
}

impl std::str::FromStr for Came {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Import, Self::Move];
        all.into_iter().find(|came| came.word() == text).ok_or(format!("a domain cannot have come by {text:?}"))
    }
}

/// What a domain is to be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// As the address that the server goes by.
    Primary,
    /// As another address of it.
    Alias,
    /// As the address of the app with this id.
    App(String),
}
