//! A provider in a process of its own, to be run as another user, or killed.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use infra::agent::{Agent, AgentOptions, Insist, SandboxLimits};
use infra::hosts::HostId;
use infra::{binaries, launcher};
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};

/// `sandbox-probe house FOLDER SERVERS [anyhow]`: prints a line for each server and the report, then waits for the
/// end of its standard input.
pub(crate) fn run(arguments: Vec<String>) {
    let launcher = launcher::start().expect("a launcher");
    let folder = PathBuf::from(&arguments[0]);
    let servers: i64 = arguments[1].parse().expect("a number of servers");
    let mut options = AgentOptions::below(&folder, HostId::new(1), binaries::find("sandbox-probe").expect("myself"));
    if arguments.get(2).is_some_and(|word| word == "anyhow") {
        options.insist = Insist::OnNothing;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a tokio runtime");
    runtime.block_on(async {
        let launcher_pid = launcher.pid();
        let agent = match Agent::start(launcher, options).await {
            Ok(agent) => agent,
            Err(e) => {
                println!("refused: {e}");
                std::process::exit(3);
            }
        };
        println!("launcher {launcher_pid}");
        for n in 0..servers {
            let launch = launch(ServerId::new(n + 1), "well");
            let limits = SandboxLimits { memory_bytes: 128 << 20, pids: 64, cpu_percent: 100 };
            let id = launch.server;
            agent.place(launch, limits).await.expect("a place");
            println!("server {id} {}", agent.public_socket(id).display());
        }
        print!("{}", agent.isolation());
        println!("ready");
        std::io::stdout().flush().expect("someone reads");
        let waited = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().count());
        waited.await.expect("an end of input");
        agent.drain().await.expect("a launcher to drain");
    });
}

/// A launch whose owner's name tells the payload how to behave at its start.
pub(crate) fn launch(server: ServerId, mood: &str) -> Launch {
    let limits = Limits {
        storage_bytes: 64 << 20,
        record_bytes: 1 << 20,
        memory_bytes: 64 << 20,
        undo_days: 30,
        loss_window_ms: 0,
    };
    Launch {
        server,
        generation: Generation(1),
        site: Site { scheme: "http".into(), name: "anna".into(), domain: "localhost".into(), port: Some(8080) },
        provider: Provider { name: "P".into(), console_origin: "http://localhost".into(), handover_key: "k".into() },
        owner: Owner { display_name: mood.into() },
        storage: StorageAt::Directory { path: PathBuf::new() },
        cache: PathBuf::new(),
        limits,
        standing: Access::Full,
        domains: Vec::new(),
    }
}
