//! Exit drills as the owner sees them: when it was last tried whether one could leave, and what came of it.

use axum::extract::Path;
use control_plane::drills::{self, Fault, Now, Passed};
use control_plane::servers::Server;

use super::leave::leave_page;
use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::Fact;
use crate::refusal::Refusal;
use crate::show::{self, Amount, Count, Spell};
use crate::visit::{Nothing, Posted, Visit};

/// The card that says so, on the pages that have it.
pub(super) struct Tested {
    /// The last that passed; empty when none did.
    pub(super) facts: Vec<Fact>,
    /// The last, when it did not pass.
    pub(super) trouble: Option<Trouble>,
    /// What is going on.
    pub(super) going: Option<&'static str>,
    /// When the next one comes.
    pub(super) next: String,
}

/// A test that did not pass, and what that means.
pub(super) struct Trouble {
    pub(super) tone: &'static str,
    pub(super) what: String,
    pub(super) why: String,
    pub(super) means: &'static str,
    /// Whether going back in time may help.
    pub(super) past: bool,
}

impl Tested {
    pub(super) async fn of(visit: &Visit, server: &Server) -> Result<Self, Refusal> {
        let plane = visit.console.plane();
        let known = drills::drills(plane, &visit.actor, server.id).await?;
        let next = match (known.next, plane.settings().drills_every) {
            _ if known.now != Now::Resting => String::new(),
            (_, None) | (None, _) => "A test is made when you ask for one.".to_owned(),
            (Some(at), _) if at <= plane.now() => "The next one comes by itself; others are before yours.".to_owned(),
            (Some(at), _) if known.failed.is_some() => {
                format!("It is tried again by itself on {}.", show::both(at).words())
            }
            (Some(at), _) if known.passed.is_none() => {
                format!("The first one comes by itself on {}.", show::day(at).words())
            }
            (Some(at), _) => format!(
                "The next one comes by itself on {}, if your server has changed by then.",
                show::day(at).words()
            ),
        };
        Ok(Self {
            facts: known.passed.as_ref().map(facts).unwrap_or_default(),
            trouble: known.failed.as_ref().map(Trouble::of),
            going: match known.now {
                Now::Resting => None,
                Now::Waiting => Some("A test waits for its turn; one is made at a time. Look again in a while."),
                Now::Running => Some("It is being tested just now. Look again in a while."),
            },
            next,
        })
    }
}

impl Trouble {
    fn of(failed: &drills::Failed) -> Self {
        let at = show::both(failed.at).words();
        match failed.fault {
            Fault::Archive => Self {
                tone: "danger",
                what: format!("The test of {at} did not pass."),
                why: failed.why.clone(),
                means: "An archive made now could be refused elsewhere, or not come whole. Nothing on your server was changed by the test, and your provider sees this too. If something is damaged, you can go back to a moment before that.",
                past: true,
            },
            Fault::Provider => Self {
                tone: "warn",
                what: format!("The test of {at} could not be carried out."),
                why: failed.why.clone(),
                means: "That says nothing about your archive: you can export as ever. Your provider sees this too.",
                past: false,
            },
        }
    }
}

fn facts(passed: &Passed) -> Vec<Fact> {
    vec![
        Fact::html("Passed", show::both(passed.at)).noted("the same again, to the last byte"),
        Fact::new("Archive", Amount(passed.bytes)),
        Fact::new("Records", Count(passed.documents)),
        Fact::new("Files", Count(passed.files)),
        Fact::new("Took", took(passed)),
    ]
}

/// How long it took, for a person.
pub(crate) fn took(passed: &Passed) -> Spell {
    Spell(u64::try_from(passed.took.as_millis()).unwrap_or(u64::MAX))
}

/// `POST /servers/{name}/drills`.
pub(super) async fn ask(visit: Visit, Path(name): Path<String>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    match drills::ask(visit.console.plane(), &visit.actor, server.id).await {
        Ok(()) => page::on_to(&format!("{}/leave#tested", base(&server))),
        Err(error) if error.wait().is_some() => leave_page(&visit, server, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}
