//! A server leaves for another provider while it is in use: the side of the source (`export-format/MOVE.md`).
//!
//! An owner consents on a page ([`ask`], [`consent`]) and the target gets a token ([`tokens`]) with which it has moments of the
//! server made and fetches them ([`begin`], [`round`], [`archive`]), until it can have the server stand down
//! ([`handover`]). The server's runtime does that in one durable step and signs; the row follows, and from then on the
//! gateway itself answers for the old address, from the row alone (`moved`).
//!
//! Invariants:
//! - the runtime decides whether a server lives here; a row is never ahead of it. Where the program died between the two,
//!   or could not hear the answer, the next call, the next start or the next round of the loop asks the runtime
//!   (`note`), and no move is cancelled before that is known;
//! - what changes a move of one server takes turns (`Desk::turn`), so that a cancellation and a hand-over do not cross;
//! - nobody is sent to an address but those that the owner consented to and the target named for itself.
//!
//! Authority: pages act for the server's owner. Calls of the target act by a token, of which only the digest is kept, for
//! one move of one server.
//!
//! Fails by being asked again: every call names what it wants by a number, and the second time is the first time over.

mod asked;
mod back;
mod consent;
mod departure;
mod desk;
mod ending;
mod recall;
mod receipt;
mod rounds;
mod state;
mod store;
mod token;
mod view;

use export_format::moving::{MoveView, RoundRequest};
use uuid::Uuid;

pub use asked::Asked;
pub use back::{Back, erase_left, take_back};
pub(crate) use back::{came_back, is_leaving};
pub use consent::{Asking, ask, consent, refuse};
pub use departure::handover;
pub(crate) use desk::Desk;
pub(crate) use desk::{remember, run};
pub use ending::{cancel, settled, stop};
pub use receipt::receipt;
pub(crate) use receipt::{count, issue};
pub use rounds::{archive, begin, round};
pub use state::Stand;
pub use token::tokens;
pub use view::{Course, Forwarded, Round, of_server};

use super::{Answer, Word};
use crate::ControlPlane;

/// How a move stands, for its target.
pub async fn stands(plane: &ControlPlane, id: Uuid, token: &str) -> Answer<MoveView> {
    let kept = token::late_holder(plane, id, token).await?;
    let kept = departure::caught_up(plane, kept).await?;
    Ok(departure::told(&kept))
}

/// A round that is asked for and cannot be, because of how the move stands.
fn closed(stand: Stand) -> super::Refusal {
    match stand {
        Stand::Cancelled | Stand::TakenBack => {
            super::Refusal::new(Word::Cancelled, "This move was cancelled, and the server stays where it is.")
        }
        Stand::Handed | Stand::Settled => super::Refusal::new(
            Word::Handed,
            "The server has stood down already; there is nothing more to fetch or to end.",
        ),
        Stand::Consented | Stand::Copying => super::Refusal::new(Word::Conflict, "This move has not come so far."),
    }
}

/// The name of a round at the runtime.
fn export_id(id: Uuid, round: u32) -> String {
    format!("{}-{round}", id.simple())
}

/// Whether a second asking for a round is the first one again.
fn is_same(asked: &RoundRequest, there: &store::Asked) -> bool {
    asked.base == there.base && asked.hold == there.held
}
