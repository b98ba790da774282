//! What a runtime and its app host say to each other, over one connected socket.
//!
//! Frames: four bytes of length, little-endian, then a message in the postcard format. Code is too long for a frame and
//! follows the frame that announces it, as so many plain bytes. Both ends are one build, so the wire needs no versions.
//!
//! The first message says what the process is for: compiling one component, or running compiled ones. What an app host
//! says is the word of a process that strangers' code may have taken over: the runtime bounds all of it.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest frame: a body, and what stands around it.
pub const LONGEST: usize = 6 << 20;

/// The longest body of a request, an answer or a record, in bytes.
pub const LONGEST_BODY: usize = 4 << 20;

/// The longest component, and the longest compiled one.
pub const LONGEST_CODE: u64 = 128 << 20;

/// What compiled code is good for: another release of the engine, or other settings of it, and it is made anew. To be
/// changed with either.
pub const SETTINGS: &str = "wasmtime-48-1";

/// What a runtime says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToHost {
    /// The first word to a compiler: a component of so many bytes follows.
    Compile {
        /// How many.
        bytes: u64,
    },
    /// The first word to an app host.
    Run,
    /// Keep this compiled component, whose bytes follow.
    Load {
        /// What calls name it by.
        component: u32,
        /// How many bytes.
        bytes: u64,
    },
    /// Forget a component.
    Unload {
        /// Which.
        component: u32,
    },
    /// Let a component handle something.
    Call {
        /// What is said about this call names it by this.
        call: u32,
        /// Which component.
        component: u32,
        /// What there is to handle.
        what: What,
        /// What it may take.
        bounds: Bounds,
    },
    /// The answer to what a call asked for.
    Answer {
        /// Which call.
        call: u32,
        /// What it gets.
        answer: Answer,
    },
}

/// What an app host says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromHost {
    /// So many bytes of compiled code follow.
    Compiled {
        /// How many.
        bytes: u64,
    },
    /// It is no component that runs here, in a sentence.
    NotCompiled(String),
    /// Whether a component is kept; where not, its code is of another engine or damaged.
    Loaded {
        /// Which.
        component: u32,
        /// Why not.
        refused: Option<String>,
    },
    /// A call asks for something and waits for the answer.
    Asks {
        /// Which call.
        call: u32,
        /// For what.
        ask: Ask,
    },
    /// A call says something to its owner.
    Says {
        /// Which call.
        call: u32,
        /// How loud.
        level: Level,
        /// What.
        text: String,
    },
    /// A call is over.
    Ended {
        /// Which.
        call: u32,
        /// How.
        end: End,
    },
}

/// Something to handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// What a page or program asks.
    Http(Request),
    /// What happened.
    Event(Event),
}

/// A request, of a page to a handler or of a handler to the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its method, in capitals.
    pub method: String,
    /// Its address.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What happened, as a handler is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id, the same at each attempt.
    pub id: String,
    /// What kind of thing.
    pub kind: String,
    /// Which of that kind.
    pub name: String,
    /// When it was due, Unix milliseconds.
    pub due: u64,
    /// JSON.
    pub payload: String,
}

/// What one call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How long, in milliseconds.
    pub time_ms: u64,
    /// How much memory all together, in bytes.
    pub memory_bytes: u64,
}

/// What a call asks its server for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// A record.
    Read {
        /// Of this table.
        table: String,
        /// Of this id.
        id: String,
    },
    /// Records.
    Query {
        /// Of this table.
        table: String,
        /// As JSON text.
        query: String,
    },
    /// A new record.
    Create {
        /// In this table.
        table: String,
        /// Under this id, if it has one already.
        id: Option<String>,
        /// As JSON text.
        fields: String,
    },
    /// A change of a record.
    Change {
        /// In this table.
        table: String,
        /// Of this id.
        id: String,
        /// As JSON text.
        fields: String,
        /// Whether fields that are not named go.
        all: bool,
    },
    /// A record's removal.
    Delete {
        /// In this table.
        table: String,
        /// Of this id.
        id: String,
    },
    /// A message to a contact, as JSON text.
    Send(String),
    /// A word to the owner.
    Notify(String),
    /// A request to another computer.
    Fetch(Request),
}

/// What a call gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A text, mostly JSON.
    Text(String),
    /// What another computer answered.
    Response(Response),
    /// Nothing of it was done.
    Failure(Failure),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// As HTTP has it.
    pub status: u16,
    /// A short name for programs.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// For whoever makes the app.
    Debug,
    /// As it goes.
    Info,
    /// Something to look at.
    Warn,
    /// Something went wrong.
    Error,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It answered a page.
    Response(Response),
    /// It has dealt with an event.
    Done,
    /// It wants to be told the event again.
    Later(String),
    /// It does not.
    Never(String),
    /// The component does not handle such things.
    Unhandled,
    /// It was ended for this.
    Failed(Fault, String),
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It took too long.
    Time,
    /// It wanted more memory than it may have.
    Memory,
    /// It called itself too deep.
    Stack,
    /// It stopped by itself: a panic, or an instruction that cannot be carried out.
    Trap,
    /// It asked for too much.
    Flood,
    /// It could not be begun.
    Start,
    /// The app host ended under it.
    Host,
}

/// A message as a frame.
///
/// # Errors
/// When it is too long for one.
pub fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is longer than a frame may be"));
    }
    bytes[..4].copy_from_slice(&u32::try_from(length).map_err(io::Error::other)?.to_le_bytes());
    Ok(bytes)
}

/// The length of a frame whose first four bytes these are.
///
/// # Errors
/// When it is longer than a frame may be.
pub fn length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if length > LONGEST {
        Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that is too long"))
    } else {
        Ok(length)
    }
}

/// The message in a frame's bytes.
///
/// # Errors
/// When it is none.
pub fn message<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(io::Error::other)
}

/// Reads one message, and waits for it; nothing where the other end has hung up.
///
/// # Errors
/// When the connection breaks, or what comes is no message.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; length(head)?];
    from.read_exact(&mut bytes)?;
    message(&bytes).map(Some)
}

/// Writes one message whole.
///
/// # Errors
/// When the connection breaks, or the message is too long.
pub fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_arrive_whole_and_nothing_too_long_is_waited_for() {
        let call = ToHost::Call {
            call: 7,
            component: 1,
            what: What::Http(Request { method: "GET".into(), url: "/api/x".into(), ..Request::default() }),
            bounds: Bounds { time_ms: 1, memory_bytes: 2 },
        };
        let mut bytes = frame(&call).unwrap();
        bytes.extend(frame(&ToHost::Run).unwrap());
        let mut from = &bytes[..];
        assert_eq!(read(&mut from).unwrap(), Some(call));
        assert_eq!(read(&mut from).unwrap(), Some(ToHost::Run));
        assert_eq!(read::<ToHost>(&mut from).unwrap(), None);
        assert!(read::<ToHost>(&mut &[255, 255, 255, 255, 0][..]).is_err());
        assert!(frame(&ToHost::Answer { call: 1, answer: Answer::Text("x".repeat(LONGEST + 1)) }).is_err());
    }
}
