//! How a move stands, as a line and as a card.

use control_plane::moves::arriving::{Arrival, State};
use control_plane::servers::Server;
use jiff::{SignedDuration, Timestamp};

use super::page_of;
use crate::show::{self, Moment};

/// For so long the dashboard tells of a move that is over.
const LATELY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A move in the list of those so far.
pub(super) struct Past {
    pub(super) what: String,
    pub(super) state: &'static str,
    pub(super) when: Moment,
    pub(super) path: String,
}

/// A move on the dashboard.
pub(in crate::consumer) struct Card {
    pub(in crate::consumer) tone: &'static str,
    pub(in crate::consumer) what: String,
    pub(in crate::consumer) meaning: String,
    pub(in crate::consumer) path: String,
}

pub(super) fn past(server: &Server, arrival: &Arrival) -> Past {
    Past {
        what: arrival.address.clone(),
        state: state(arrival),
        when: show::both(arrival.created),
        path: page_of(server, arrival),
    }
}

fn state(arrival: &Arrival) -> &'static str {
    match arrival.state {
        _ if arrival.is_live() => "It is here.",
        State::Asked => "It waits for your yes at the old place.",
        State::Running => "It goes on by itself.",
        State::Done => "It is here.",
        State::Failed => "It was given up, and nothing was changed here.",
        State::Cancelled => "Stopped, and nothing was changed here.",
    }
}

/// The newest move, as long as it goes on and for some days after.
pub(in crate::consumer) fn card(server: &Server, arrivals: &[Arrival], now: Timestamp) -> Option<Card> {
    let newest = arrivals.first()?;
    if newest.state.is_final() && now.duration_since(newest.updated) > LATELY || newest.state == State::Cancelled {
        return None;
    }
    let (tone, what, meaning) = match newest.state {
        _ if newest.is_live() => {
            let until = newest.forwards.map(|until| format!(" until {}", show::day(until).words())).unwrap_or_default();
            ("ok", "Your server has moved here.", format!("{} leads here{until}.", newest.address))
        }
        State::Asked => ("", "A move waits for your yes.", format!("Say it at {}.", newest.name)),
        State::Failed => {
            ("warn", "A move was given up.", newest.error.clone().unwrap_or_else(|| "Nothing was changed here.".into()))
        }
        _ => {
            let percent = newest.coming.map(|(here, all)| format!(" {} %", here.min(all) * 100 / all.max(1)));
            let meaning = format!("Now: {}.{}", newest.step.title().to_lowercase(), percent.unwrap_or_default());
            ("", "Your server is moving here.", meaning)
        }
    };
    Some(Card { tone, what: what.to_owned(), meaning, path: page_of(server, newest) })
}
