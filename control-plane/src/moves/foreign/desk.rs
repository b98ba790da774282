//! The work with other servers that is under way, and what opens them.
//!
//! All of it is in memory alone: tokens of other servers are never written down, and without them nothing goes on. So work that
//! is under way when the program ends is over; nothing was changed here by it, and what was written there stays and is found
//! when it is begun again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use export_format::AppId;
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ceps::Token;
use super::lefts::Lefts;
use super::{Foreign, ForeignId, State, Way};
use crate::Actor;

/// How much of it goes on at a time.
const AT_ONCE: usize = 4;
/// How much that is over is remembered of one server.
const REMEMBERED: usize = 10;
/// How long what opens another server is kept for a form that comes again.
const KEPT: Duration = Duration::from_secs(30 * 60);
/// How many of them are kept at most.
const MOST_KEPT: usize = 1000;

/// Work with other servers.
#[derive(Debug)]
pub(crate) struct Desk {
    jobs: Mutex<BTreeMap<ForeignId, Arc<Job>>>,
    tokens: Mutex<HashMap<Opens, (Token, Instant)>>,
    pub(super) turns: Arc<Semaphore>,
}

/// Which app of whom on which server a token opens, and for which server here it was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Opens {
    pub(super) here: ServerId,
    pub(super) origin: String,
    pub(super) user: String,
    pub(super) app: AppId,
}

/// One piece of work.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) actor: Actor,
    pub(super) stop: CancellationToken,
    view: Mutex<(Foreign, Lefts)>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { jobs: Mutex::default(), tokens: Mutex::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Desk {
    /// Takes up a piece of work; nothing when one of its way is under way for the same server.
    pub(super) fn take_up(&self, actor: Actor, work: Foreign, stop: CancellationToken) -> Option<Arc<Job>> {
        let mut jobs = self.jobs.lock();
        let there: Vec<Foreign> = jobs.values().map(|job| job.now()).filter(|job| job.server == work.server).collect();
        if there.iter().any(|job| job.way == work.way && !job.state.is_final()) {
            return None;
        }
        let over: Vec<ForeignId> = there.iter().filter(|job| job.state.is_final()).map(|job| job.id).collect();
        for id in over.iter().take(over.len().saturating_sub(REMEMBERED - 1)) {
            jobs.remove(id);
        }
        let id = work.id;
        let job = Arc::new(Job { actor, stop, view: Mutex::new((work, Lefts::default())) });
        jobs.insert(id, Arc::clone(&job));
        Some(job)
    }

    pub(super) fn job(&self, id: ForeignId) -> Option<Arc<Job>> {
        self.jobs.lock().get(&id).cloned()
    }

    /// The work for one server, newest first.
    pub(super) fn of_server(&self, server: ServerId) -> Vec<Foreign> {
        let jobs = self.jobs.lock();
        jobs.values().rev().map(|job| job.now()).filter(|job| job.server == server).collect()
    }

    pub(super) fn is_busy(&self, server: ServerId, way: Way) -> bool {
        self.of_server(server).iter().any(|job| job.way == way && !job.state.is_final())
    }

    /// Keeps a token for a while.
    pub(super) fn keep(&self, opens: Opens, token: Token) {
        let mut tokens = self.tokens.lock();
        let now = Instant::now();
        tokens.retain(|_, (_, kept)| now.duration_since(*kept) < KEPT);
        if tokens.len() < MOST_KEPT {
            tokens.insert(opens, (token, now));
        }
    }

    /// A token that is kept.
    pub(super) fn kept(&self, opens: &Opens) -> Option<Token> {
        let tokens = self.tokens.lock();
        let (token, kept) = tokens.get(opens)?;
        (kept.elapsed() < KEPT).then(|| token.clone())
    }

    pub(super) fn forget(&self, opens: &Opens) {
        self.tokens.lock().remove(opens);
    }
}

impl Job {
    /// As it stands.
    pub(super) fn now(&self) -> Foreign {
        let view = self.view.lock();
        let mut now = view.0.clone();
        now.left = view.1.all();
        now
    }

    /// Notes how it stands.
    pub(super) fn note(&self, change: impl FnOnce(&mut Foreign)) {
        change(&mut self.view.lock().0);
    }

    /// Notes what is left out.
    pub(super) fn leave(&self, what: &str, why: &str) {
        self.view.lock().1.note(what, why);
    }

    pub(super) fn leave_all(&self, count: u64, what: &str, why: &str) {
        if count > 0 {
            self.view.lock().1.note_all(count, what, why);
        }
    }

    /// Notes that something is left out of which it is not known how much there is.
    pub(super) fn say_left(&self, what: &str, why: &str) {
        self.view.lock().1.say(what, why);
    }

    pub(super) fn doing(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(|now| now.doing = what);
    }

    /// The end, unless it has one.
    pub(super) fn end(&self, state: State, error: Option<String>) {
        self.note(|now| {
            if !now.state.is_final() {
                now.state = state;
                now.error = error;
                now.doing.clear();
            }
        });
    }
}
