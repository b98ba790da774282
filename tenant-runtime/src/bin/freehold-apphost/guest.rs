//! What a component sees: the functions of `export-format/handlers/handler.wit`, each of which asks the runtime, and how one
//! call of it is made.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "the bindings are written by a macro")]

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

use tenant_runtime::handlers::wire::{self, Answer, Ask, Bounds, End, Failure, Fault, FromHost, Level, What};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::compile::words;
use crate::engine::TICK;
use crate::run::Out;

mod both {
    wasmtime::component::bindgen!({ path: "../export-format/handlers", world: "freehold:handler/handler" });
}

mod http_only {
    wasmtime::component::bindgen!({
        path: "../export-format/handlers",
        world: "freehold:handler/http-handler",
        with: {
            "freehold:handler/server": super::both::freehold::handler::server,
            "freehold:handler/records": super::both::freehold::handler::records,
            "freehold:handler/messages": super::both::freehold::handler::messages,
            "freehold:handler/web": super::both::freehold::handler::web,
        },
    });
}

mod events_only {
    wasmtime::component::bindgen!({
        path: "../export-format/handlers",
        world: "freehold:handler/event-handler",
        with: {
            "freehold:handler/server": super::both::freehold::handler::server,
            "freehold:handler/records": super::both::freehold::handler::records,
            "freehold:handler/messages": super::both::freehold::handler::messages,
            "freehold:handler/web": super::both::freehold::handler::web,
        },
    });
}

use both::freehold::handler::{messages, records, server, web};
use events_only::exports::freehold::handler::events;
use http_only::exports::freehold::handler::http;

/// The longest line of a log, in characters.
const LONGEST_LINE: usize = 2_000;

/// The most bytes of chance in one go.
const MOST_RANDOM: u32 = 4096;

/// A component that is ready to be called.
pub(crate) struct Loaded {
    engine: Engine,
    http: Option<http_only::HttpHandlerPre<Call>>,
    events: Option<events_only::EventHandlerPre<Call>>,
}

impl Loaded {
    /// Takes up what a compiler of this build has made.
    ///
    /// # Errors
    /// When it is of another engine, or its component wants what there is not.
    #[allow(
        unsafe_code,
        reason = "compiled code is run as it is: it was made by this program, and comes from nowhere else"
    )]
    pub(crate) fn new(engine: &Engine, code: &[u8]) -> wasmtime::Result<Self> {
        // SAFETY: the runtime keeps what a compiler process of this build answered, in its own cache, and hands out
        // nothing else: neither packages nor archives have compiled code that would ever come here.
        let component = unsafe { Component::deserialize(engine, code) }?;
        let mut linker = Linker::new(engine);
        both::Handler::add_to_linker::<Call, HasSelf<Call>>(&mut linker, |call| call)?;
        let ready = linker.instantiate_pre(&component)?;
        Ok(Self {
            engine: engine.clone(),
            http: http_only::HttpHandlerPre::new(ready.clone()).ok(),
            events: events_only::EventHandlerPre::new(ready).ok(),
        })
    }

    /// Whether it exports any of what is called.
    pub(crate) fn handles_something(&self) -> bool {
        self.http.is_some() || self.events.is_some()
    }

    /// Lets it handle something, in an instance of its own that is gone afterwards.
    pub(crate) fn handle(&self, what: What, call: Call, bounds: Bounds) -> End {
        let mut store = Store::new(&self.engine, call);
        store.limiter(|call| &mut call.room);
        let ticks = u128::from(bounds.time_ms).div_ceil(TICK.as_millis());
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
        let done = match what {
            What::Http(request) => self.answer(&mut store, request),
            What::Event(event) => self.take(&mut store, event),
        };
        done.unwrap_or_else(|error| failed(&error, bounds))
    }

    fn answer(&self, store: &mut Store<Call>, request: wire::Request) -> wasmtime::Result<End> {
        let Some(handler) = &self.http else { return Ok(End::Unhandled) };
        let handler = handler.instantiate(&mut *store)?;
        let response = handler.freehold_handler_http().call_handle(store, &outward(request))?;
        Ok(End::Response(inward(response)))
    }

    fn take(&self, store: &mut Store<Call>, event: wire::Event) -> wasmtime::Result<End> {
        let Some(handler) = &self.events else { return Ok(End::Unhandled) };
        let handler = handler.instantiate(&mut *store)?;
        let wire::Event { id, kind, name, due, payload } = event;
        let event = events::Event { id, kind, name, due, payload };
        Ok(match handler.freehold_handler_events().call_handle(store, &event)? {
            events::Outcome::Done => End::Done,
            events::Outcome::Later(why) => End::Later(why),
            events::Outcome::Never(why) => End::Never(why),
        })
    }
}

fn failed(error: &wasmtime::Error, bounds: Bounds) -> End {
    if error.is::<NoRoom>() {
        let why = format!("it wanted more than {} MB of memory", bounds.memory_bytes >> 20);
        return End::Failed(Fault::Memory, why);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            End::Failed(Fault::Time, format!("it took more than {} seconds", bounds.time_ms.div_ceil(1000)))
        }
        Some(Trap::StackOverflow) => End::Failed(Fault::Stack, "it called itself too deep".to_owned()),
        Some(trap) => End::Failed(Fault::Trap, format!("it broke off: {trap}")),
        None => End::Failed(Fault::Start, words(error)),
    }
}

/// One call while it runs.
pub(crate) struct Call {
    id: u32,
    out: Arc<Out>,
    answers: Receiver<Answer>,
    room: Room,
}

impl Call {
    /// A call of this number, which asks and hears by these.
    pub(crate) fn new(id: u32, out: Arc<Out>, answers: Receiver<Answer>, bounds: Bounds) -> Self {
        let room = Room { left: usize::try_from(bounds.memory_bytes).unwrap_or(usize::MAX) };
        Self { id, out, answers, room }
    }

    fn ask(&self, ask: Ask) -> Result<Answer, server::Failure> {
        let gone = || server::Failure {
            status: 503,
            code: "gone".to_owned(),
            message: "The server does not answer any more.".to_owned(),
        };
        if let Err(error) = self.out.tell(&FromHost::Asks { call: self.id, ask }) {
            return Err(server::Failure { status: 413, code: "too_long".to_owned(), message: error.to_string() });
        }
        match self.answers.recv() {
            Ok(Answer::Failure(Failure { status, code, message })) => Err(server::Failure { status, code, message }),
            Ok(answer) => Ok(answer),
            Err(_) => Err(gone()),
        }
    }

    fn text(&self, ask: Ask) -> Result<String, server::Failure> {
        match self.ask(ask)? {
            Answer::Text(text) => Ok(text),
            _ => Err(confused()),
        }
    }
}

fn confused() -> server::Failure {
    server::Failure { status: 500, code: "internal".to_owned(), message: "This was answered wrongly.".to_owned() }
}

/// What of its memory a call has left.
struct Room {
    left: usize,
}

/// More memory than a call may have.
#[derive(Debug)]
struct NoRoom;

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("more memory than a call may have")
    }
}

impl std::error::Error for NoRoom {}

impl Room {
    fn take(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        self.left = self.left.checked_sub(bytes).ok_or(NoRoom)?;
        Ok(true)
    }
}

impl ResourceLimiter for Room {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current).saturating_mul(size_of::<usize>()))
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

impl server::Host for Call {
    fn log(&mut self, level: server::Level, text: String) {
        let level = match level {
            server::Level::Debug => Level::Debug,
            server::Level::Info => Level::Info,
            server::Level::Warn => Level::Warn,
            server::Level::Error => Level::Error,
        };
        let text = text.chars().take(LONGEST_LINE).collect();
        // Whoever does not listen any more is about to end this process.
        let _ = self.out.tell(&FromHost::Says { call: self.id, level, text });
    }

    fn now(&mut self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&mut self, count: u32) -> Vec<u8> {
        let mut bytes = vec![0; count.min(MOST_RANDOM) as usize];
        rand::fill(&mut bytes[..]);
        bytes
    }

    fn notify(&mut self, text: String) -> Result<(), server::Failure> {
        self.text(Ask::Notify(text)).map(drop)
    }
}

impl records::Host for Call {
    fn read(&mut self, table: String, id: String) -> Result<String, server::Failure> {
        self.text(Ask::Read { table, id })
    }

    fn query(&mut self, table: String, query: String) -> Result<String, server::Failure> {
        self.text(Ask::Query { table, query })
    }

    fn create(&mut self, table: String, id: Option<String>, fields: String) -> Result<String, server::Failure> {
        self.text(Ask::Create { table, id, fields })
    }

    fn update(&mut self, table: String, id: String, fields: String) -> Result<String, server::Failure> {
        self.text(Ask::Change { table, id, fields, all: false })
    }

    fn replace(&mut self, table: String, id: String, fields: String) -> Result<String, server::Failure> {
        self.text(Ask::Change { table, id, fields, all: true })
    }

    fn delete(&mut self, table: String, id: String) -> Result<(), server::Failure> {
        self.text(Ask::Delete { table, id }).map(drop)
    }
}

impl messages::Host for Call {
    fn send(&mut self, message: String) -> Result<String, server::Failure> {
        self.text(Ask::Send(message))
    }
}

impl web::Host for Call {
    fn fetch(&mut self, request: web::Request) -> Result<web::Response, server::Failure> {
        let web::Request { method, url, headers, body } = request;
        let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
        match self.ask(Ask::Fetch(wire::Request { method, url, headers, body }))? {
            Answer::Response(response) => {
                let wire::Response { status, headers, body } = response;
                Ok(web::Response { status, headers: named(headers), body })
            }
            _ => Err(confused()),
        }
    }
}

fn named(headers: Vec<(String, String)>) -> Vec<web::Header> {
    headers.into_iter().map(|(name, value)| web::Header { name, value }).collect()
}

fn outward(request: wire::Request) -> web::Request {
    let wire::Request { method, url, headers, body } = request;
    web::Request { method, url, headers: named(headers), body }
}

fn inward(response: http::Response) -> wire::Response {
    let http::Response { status, headers, body } = response;
    let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
    wire::Response { status, headers, body }
}
