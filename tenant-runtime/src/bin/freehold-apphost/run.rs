//! Running compiled components: each call in a thread and an instance of its own.
//!
//! Invariants: nothing is kept from one call to the next but compiled code; a call that is ended for what it did ends
//! alone. When the runtime hangs up, this process ends in the midst of whatever it does.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tenant_runtime::handlers::wire::{self, Answer, Bounds, End, Fault, FromHost, LONGEST_CODE, ToHost, What};
use wasmtime::Engine;

use crate::compile::words;
use crate::engine::{self, STACK, TICK};
use crate::guest::{Call, Loaded};

/// What of a call's stack is for the program itself.
const OWN_STACK: usize = 2 << 20;

/// Where all calls say what they have to say.
pub(crate) struct Out(Mutex<UnixStream>);

impl Out {
    /// Says something to the runtime.
    ///
    /// # Errors
    /// When it is too long, or nobody listens.
    pub(crate) fn tell(&self, message: &FromHost) -> io::Result<()> {
        let frame = wire::frame(message)?;
        io::Write::write_all(&mut *locked(&self.0), &frame)
    }
}

/// What threads of other calls have left behind is whole: nothing is changed under these locks that could be half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Host {
    engine: Engine,
    out: Arc<Out>,
    calls: Mutex<HashMap<u32, Sender<Answer>>>,
    clock: Clock,
}

/// Runs until the runtime hangs up.
pub(crate) fn run(mut from: io::BufReader<UnixStream>, to: UnixStream) -> io::Result<()> {
    let engine = engine::engine().map_err(|error| io::Error::other(words(&error)))?;
    let clock = Clock::default();
    let host = Arc::new(Host { engine, out: Arc::new(Out(Mutex::new(to))), calls: Mutex::default(), clock });
    let ticking = Arc::clone(&host);
    std::thread::Builder::new().name("clock".to_owned()).spawn(move || ticking.clock.tick(&ticking.engine))?;
    let mut components: HashMap<u32, Arc<Loaded>> = HashMap::new();
    while let Some(message) = wire::read(&mut from)? {
        match message {
            ToHost::Load { component, bytes } => {
                let code = taken(&mut from, bytes)?;
                let refused = match Loaded::new(&host.engine, &code) {
                    Ok(loaded) => {
                        components.insert(component, Arc::new(loaded));
                        None
                    }
                    Err(error) => Some(words(&error)),
                };
                host.out.tell(&FromHost::Loaded { component, refused })?;
            }
            ToHost::Unload { component } => drop(components.remove(&component)),
            ToHost::Call { call, component, what, bounds } => match components.get(&component) {
                Some(loaded) => host.begin(call, Arc::clone(loaded), what, bounds)?,
                None => host.ended(call, End::Failed(Fault::Start, "its code is not here".to_owned()))?,
            },
            ToHost::Answer { call, answer } => {
                if let Some(calling) = locked(&host.calls).get(&call) {
                    // A call that is over hears nothing any more.
                    let _ = calling.send(answer);
                }
            }
            ToHost::Compile { .. } | ToHost::Run => return Err(io::Error::other("it is an app host already")),
        }
    }
    Ok(())
}

fn taken(from: &mut impl io::Read, bytes: u64) -> io::Result<Vec<u8>> {
    if bytes > LONGEST_CODE {
        return Err(io::Error::other("the code is longer than any may be"));
    }
    let mut code = Vec::with_capacity(usize::try_from(bytes).map_err(io::Error::other)?);
    from.take(bytes).read_to_end(&mut code)?;
    if code.len() as u64 == bytes { Ok(code) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

impl Host {
    fn begin(self: &Arc<Self>, call: u32, loaded: Arc<Loaded>, what: What, bounds: Bounds) -> io::Result<()> {
        let (tell, answers) = channel();
        locked(&self.calls).insert(call, tell);
        let host = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("call {call}")).stack_size(STACK + OWN_STACK);
        let begun = thread.spawn(move || host.work(call, &loaded, what, bounds, answers));
        match begun {
            Ok(_) => Ok(()),
            Err(error) => self.ended(call, End::Failed(Fault::Start, format!("no thread could be had: {error}"))),
        }
    }

    fn work(&self, call: u32, loaded: &Loaded, what: What, bounds: Bounds, answers: Receiver<Answer>) {
        let timed = self.clock.start();
        let calling = Call::new(call, Arc::clone(&self.out), answers, bounds);
        let end = catch_unwind(AssertUnwindSafe(|| loaded.handle(what, calling, bounds)));
        drop(timed);
        let end = end.unwrap_or_else(|_| End::Failed(Fault::Host, "the app host failed in it".to_owned()));
        // Whoever hung up ends this process.
        let _ = self.ended(call, end);
    }

    fn ended(&self, call: u32, end: End) -> io::Result<()> {
        locked(&self.calls).remove(&call);
        match self.out.tell(&FromHost::Ended { call, end }) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let why = "it answered more than an answer may be long".to_owned();
                self.out.tell(&FromHost::Ended { call, end: End::Failed(Fault::Flood, why) })
            }
            other => other,
        }
    }
}

/// Ticks while there are calls, and sleeps while there are none.
#[derive(Default)]
struct Clock {
    running: Mutex<usize>,
    begun: Condvar,
}

/// A call that is timed.
struct Timed<'a>(&'a Clock);

impl Clock {
    fn start(&self) -> Timed<'_> {
        *locked(&self.running) += 1;
        self.begun.notify_one();
        Timed(self)
    }

    fn tick(&self, engine: &Engine) {
        loop {
            let running = locked(&self.running);
            drop(self.begun.wait_while(running, |running| *running == 0));
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        *locked(&self.0.running) -= 1;
    }
}
