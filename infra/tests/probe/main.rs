//! A runtime and a provider for the tests of the sandbox.
//!
//! As a runtime it answers one line on each connection, and some lines ask it to misbehave: to look around, to reach
//! what is not its own, to take too much. As a provider it places such runtimes and waits to be told to end, or to
//! be killed.

#[allow(unsafe_code, reason = "it asks the kernel for what no safe program would")]
mod attempts;
mod house;
mod payload;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("house") => house::run(arguments.collect()),
        _ => payload::run(),
    }
}
