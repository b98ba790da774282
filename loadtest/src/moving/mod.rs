//! Moving as a person does it, and programs that go on writing meanwhile.
//!
//! The person has one browser and is signed in at both providers. The programs know nothing of a move: they write, and where
//! they are told that what they write to has gone elsewhere, they ask there, as HTTP has it.

pub mod figures;
pub mod home;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use url::Url;

use crate::person::{OwnServer, Person, this_machine, words};
use crate::platform::Platform;

/// How often a page is looked at while a move goes on, and how many times.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 6_000;
/// How often a program lets itself be sent elsewhere for one request.
const FOLLOWED: usize = 4;

impl Person {
    /// The same browser at another provider.
    pub fn at_provider(&self, platform: &Platform) -> Result<Self> {
        self.elsewhere(platform.address(), &platform.provider().console)
    }
}

impl OwnServer {
    /// Its address, as a person copies it.
    pub fn address(&self) -> Result<String> {
        Ok(format!("http://{}", self.host(None)?))
    }

    /// Has the server `from`, of another provider, move to this one: the form here, consent there, and back. The path of
    /// the page on which the move is watched.
    pub async fn begin_move(&self, from: &Self) -> Result<String> {
        let page = format!("/servers/{}/move", self.name);
        let form = self.person.form(&page, &page).await?;
        let (at, found) = self.person.submit(form.with(&[("address", &from.address()?)])).await?;
        // What was found there is shown, with a button that leads to the other provider.
        let form = self.person.form_in(&found, &at, &format!("/servers/{}/moves", self.name))?;
        let (at, asked) = self.person.submit(form).await?;
        ensure!(at.path() == "/move/consent", "the owner was sent to {at}: {}", words(&asked));
        let form = self.person.form_in(&asked, &at, "/move/consent")?;
        let (at, back) = self.person.submit(form.with(&[("answer", "yes")])).await?;
        ensure!(at.path().starts_with(&format!("{page}s/")), "the owner came back to {at}: {}", words(&back));
        Ok(at.path().to_owned())
    }

    /// Waits until a move that was begun has come to its end, and is done.
    pub async fn arrived_by_move(&self, page: &str) -> Result<()> {
        let mut last = String::new();
        for _ in 0..LOOKS {
            let text = self.person.page(page).await?;
            if text.contains("data-state=\"done\"") {
                return Ok(());
            }
            ensure!(!text.contains("data-state=\"failed\""), "the move failed: {}", words(&text));
            last = words(&text);
            tokio::time::sleep(LOOK).await;
        }
        bail!("the move did not end in time: {last}")
    }
}

/// Programs that write records to one table, each record once, until they are told to stop.
pub struct Writers {
    journal: Arc<Journal>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the writers know when they have stopped.
#[derive(Debug, Default)]
pub struct Journal {
    stop: AtomicBool,
    acknowledged: Mutex<BTreeSet<String>>,
    failed: Mutex<Vec<String>>,
    took: Mutex<Vec<Duration>>,
    followed: Mutex<BTreeMap<String, usize>>,
}

/// What became of the writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many were acknowledged.
    pub acknowledged: usize,
    /// Which of these are not there.
    pub lost: Vec<String>,
    /// Which records are there more than once.
    pub doubled: Vec<String>,
    /// Requests that were refused or broke off, in words.
    pub failed: Vec<String>,
    /// The longest time that one of them took.
    pub longest: Duration,
    /// How many answers led elsewhere.
    pub followed: usize,
}

impl Writers {
    /// Begins `count` programs that write to `table` of the app at `label`, whose `token` they show. Their marks begin with
    /// `run`.
    pub fn start(server: &OwnServer, label: &str, token: &str, table: &str, run: &str, count: usize) -> Result<Self> {
        let journal = Arc::new(Journal::default());
        let http = this_machine(Client::builder().redirect(reqwest::redirect::Policy::none()))?;
        let origin = format!("http://{}", server.host(Some(label))?);
        let tasks = (0..count).map(|writer| {
            let program = Program {
                http: http.clone(),
                token: token.to_owned(),
                url: format!("{origin}/ceps/write/{table}"),
                journal: Arc::clone(&journal),
            };
            tokio::spawn(program.write_on(format!("{run}-{writer}")))
        });
        Ok(Self { tasks: tasks.collect(), journal })
    }

    /// How many writes were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.journal.acknowledged.lock().len()
    }

    /// Returns when so many more writes were acknowledged.
    pub async fn some_more(&self, count: usize) -> Result<()> {
        let goal = self.acknowledged() + count;
        let began = Instant::now();
        while self.acknowledged() < goal {
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "the writers do not get on: {:?}",
                self.journal.failed.lock()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Ends the programs, each behind the answer it waits for.
    pub async fn stop(self) -> Result<Arc<Journal>> {
        self.journal.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.context("a writer")?;
        }
        Ok(self.journal)
    }
}

impl Journal {
    /// Compares what was acknowledged with the marks of the records that are there.
    #[must_use]
    pub fn judge(&self, marks: &[String]) -> Verdict {
        let acknowledged = self.acknowledged.lock();
        let mut seen = BTreeSet::new();
        let doubled = marks.iter().filter(|mark| !seen.insert(mark.as_str())).cloned().collect();
        let lost = acknowledged.iter().filter(|mark| !seen.contains(mark.as_str())).cloned().collect();
        Verdict {
            acknowledged: acknowledged.len(),
            lost,
            doubled,
            failed: self.failed.lock().clone(),
            longest: self.took.lock().iter().max().copied().unwrap_or_default(),
            followed: self.followed.lock().values().sum(),
        }
    }

    /// How long the writes took, in the order of their answers.
    #[must_use]
    pub fn took(&self) -> Vec<Duration> {
        self.took.lock().clone()
    }
}

/// One program: it shows one token and writes one record after the other.
struct Program {
    http: Client,
    token: String,
    url: String,
    journal: Arc<Journal>,
}

impl Program {
    async fn write_on(mut self, name: String) {
        for nth in 0.. {
            if self.journal.stop.load(Ordering::Relaxed) {
                return;
            }
            let mark = format!("{name}-{nth}");
            let began = Instant::now();
            let outcome = self.write(&json!({"mark": mark, "text": "written while the server moves"})).await;
            self.journal.took.lock().push(began.elapsed());
            match outcome {
                Ok(()) => drop(self.journal.acknowledged.lock().insert(mark)),
                Err(error) => {
                    self.journal.failed.lock().push(format!("{mark}: {error:#}").chars().take(300).collect());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Writes one record, wherever that leads; a place that it was sent to for good is where it goes from then on.
    async fn write(&mut self, record: &Value) -> Result<()> {
        for _ in 0..FOLLOWED {
            let asked =
                self.http.request(Method::POST, &self.url).bearer_auth(&self.token).header(ACCEPT, "application/json");
            let answer = asked.json(record).send().await?;
            let status = answer.status();
            if status == StatusCode::PERMANENT_REDIRECT {
                let to =
                    answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).context("a redirect to nowhere")?;
                let to = Url::parse(&self.url)?.join(to)?.to_string();
                *self.journal.followed.lock().entry(to.clone()).or_default() += 1;
                self.url = to;
                continue;
            }
            let text = answer.text().await?;
            ensure!(status.is_success(), "{} answered {status}: {text}", self.url);
            return Ok(());
        }
        bail!("sent from place to place, at last to {}", self.url)
    }
}
