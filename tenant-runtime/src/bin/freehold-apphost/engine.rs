//! The engine, with the settings that compiled code is tied to. A change of them asks for another
//! [`tenant_runtime::handlers::wire::SETTINGS`].

use std::time::Duration;

use wasmtime::{Config, Engine};

/// How deep code may call itself, in bytes of the machine's stack.
pub(crate) const STACK: usize = 512 << 10;

/// How often the clock ticks by which code is ended that takes too long.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// An engine. Code looks at the clock at every loop and call, so nothing escapes it.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model(true).epoch_interruption(true).max_wasm_stack(STACK);
    // It would keep each memory's beginning in a file without a name, which this process may not make.
    config.memory_init_cow(false);
    Engine::new(&config)
}
