//! Compiling one component, in a process that does nothing else and ends: a compiler that strangers feed is kept apart from
//! what runs, and from every other component.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use tenant_runtime::handlers::wire::{self, FromHost, LONGEST_CODE};

use crate::{engine, guest};

/// Compiles the component whose bytes come now, and says what came of it.
pub(crate) fn run(bytes: u64, from: &mut impl io::Read, mut to: UnixStream) -> io::Result<()> {
    if bytes > LONGEST_CODE {
        return Err(io::Error::other("the component is longer than one may be"));
    }
    let mut component = Vec::new();
    from.take(bytes).read_to_end(&mut component)?;
    if component.len() as u64 != bytes {
        return Ok(());
    }
    match compiled(&component) {
        Ok(code) => {
            wire::write(&mut to, &FromHost::Compiled { bytes: code.len() as u64 })?;
            to.write_all(&code)
        }
        Err(why) => wire::write(&mut to, &FromHost::NotCompiled(why)),
    }
}

/// The code, or a sentence for whoever made the component.
fn compiled(component: &[u8]) -> Result<Vec<u8>, String> {
    let broken = |error: wasmtime::Error| format!("it is no WebAssembly component that can be used: {}", words(&error));
    let engine = engine::engine().map_err(broken)?;
    let code = engine.precompile_component(component).map_err(broken)?;
    let loaded = guest::Loaded::new(&engine, &code).map_err(|error| words(&error))?;
    match loaded.handles_something() {
        true => Ok(code),
        false => Err("it exports neither freehold:handler/http nor freehold:handler/events".to_owned()),
    }
}

/// An error with its causes, in one line of bounded length.
pub(crate) fn words(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}
