//! What every host does, held against the one in memory and, where its programs are built, against the real agent.

use std::sync::Arc;
use std::time::Instant;

use control_plane::accounts;
use control_plane::business;
use control_plane::servers::{self, Host};
use control_plane::{Actor, ControlPlane};
use infra::agent::{Agent, AgentOptions, Error, Insist, SandboxLimits, State};
use infra::{binaries, launcher};
use tempfile::TempDir;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};
use tokio::net::UnixStream;

use crate::support::{Database, HERE, HandClock, MemoryHost, eventually, set_up_form, sign_up_form, start};

const LIMITS: SandboxLimits = SandboxLimits { memory_bytes: 256 << 20, pids: 64, cpu_percent: 100 };

fn launch(server: ServerId, generation: u64) -> Launch {
    Launch {
        server,
        generation: Generation(generation),
        site: Site { scheme: "http".into(), name: "anna".into(), domain: "localhost".into(), port: Some(8080) },
        provider: Provider {
            name: "Lindenhof".into(),
            console_origin: "http://localhost:8080".into(),
            handover_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(),
        },
        owner: Owner { display_name: "Anna".into() },
        storage: StorageAt::Directory { path: "/home".into() },
        cache: "/data".into(),
        limits: Limits {
            storage_bytes: 1 << 30,
            record_bytes: Limits::RECORD_BYTES,
            memory_bytes: 256 << 20,
            undo_days: 30,
            loss_window_ms: 0,
        },
        standing: Access::Full,
        domains: Vec::new(),
    }
}

async fn behaves(host: Arc<dyn Host>) {
    let (one, other) = (ServerId::new(1), ServerId::new(2));
    assert!(host.seen().await.is_empty(), "nothing is placed at the start");
    assert!(matches!(host.sleep(one).await, Err(Error::NotPlaced(id)) if id == one));
    host.displace(one).await.unwrap();

    host.place(launch(one, 1), LIMITS).await.unwrap();
    host.place(launch(one, 1), LIMITS).await.unwrap();
    host.place(launch(other, 7), LIMITS).await.unwrap();
    let seen = host.seen().await;
    let of = |id| seen.iter().find(|seen| seen.server == id).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!((of(one).generation, of(other).generation), (Generation(1), Generation(7)));
    assert_eq!(of(one).state, State::Asleep, "placed is not awake");
    for socket in [host.public_socket(one), host.admin_socket(one)] {
        assert!(UnixStream::connect(&socket).await.is_ok(), "{} takes a connection", socket.display());
    }

    host.sleep(one).await.unwrap();
    host.sleep(one).await.unwrap();
    host.place(launch(one, 2), LIMITS).await.unwrap();
    let seen = host.seen().await;
    assert_eq!(seen.iter().find(|seen| seen.server == one).unwrap().generation, Generation(2));

    host.displace(one).await.unwrap();
    host.displace(one).await.unwrap();
    assert_eq!(host.seen().await.len(), 1);
    assert!(UnixStream::connect(host.admin_socket(one)).await.is_err());
    host.place(launch(one, 3), LIMITS).await.unwrap();
    host.erase(one).await.unwrap();
    host.erase(other).await.unwrap();
    assert!(host.seen().await.is_empty());
}

#[tokio::test]
async fn the_host_in_memory_behaves_like_a_host() {
    behaves(Arc::new(MemoryHost::new())).await;
}

/// The agent of this machine, where the programs it starts have been built.
async fn agent(dir: &TempDir) -> Option<Agent> {
    let runtime = binaries::find("freehold-runtime").and_then(|exe| binaries::find("freehold-launcher").map(|_| exe));
    match runtime {
        Ok(runtime) => {
            let here = control_plane::hosts::local_id(dir.path()).unwrap();
            let options = AgentOptions { insist: Insist::OnNothing, ..AgentOptions::below(dir.path(), here, runtime) };
            Some(Agent::start(launcher::start().unwrap(), options).await.unwrap())
        }
        Err(missing) if std::env::var("FREEHOLD_REQUIRE_PEERS").is_ok_and(|set| set == "1") => panic!("{missing}"),
        Err(missing) => {
            eprintln!("skipped with the real agent: {missing}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_of_this_machine_behaves_like_a_host() {
    let dir = TempDir::with_prefix("fh").unwrap();
    let Some(agent) = agent(&dir).await else { return };
    behaves(Arc::new(agent.clone())).await;
    agent.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_up_to_a_server_that_runs() {
    let dir = TempDir::with_prefix("fh").unwrap();
    let Some(agent) = agent(&dir).await else { return };
    let database = Database::sqlite();
    let plane = start(Arc::new(agent.clone()), &HandClock::new(), &database, &dir, None).await;
    let token = business::setup_token(&plane).await.unwrap().unwrap();
    business::set_up(&plane, set_up_form(&token), HERE).await.unwrap();
    let plan = business::plans(&plane, &Actor::Visitor).await.unwrap()[0].id;

    let began = Instant::now();
    let made = accounts::sign_up(&plane, sign_up_form("anna", plan), HERE).await.unwrap();
    let anna = Actor::Account(made.account);
    ready(&plane, &anna, &made).await;
    println!("signed up and placed after {:?}", began.elapsed());
    let usage = servers::usage(&plane, &anna, made.server).await.unwrap();
    println!("first answer of the runtime after {:?}", began.elapsed());
    assert_eq!((usage.documents, usage.limit_bytes), (0, 10_000_000_000));
    assert!(servers::apps(&plane, &anna, made.server).await.unwrap().is_empty());
    plane.stop().await;
    agent.drain().await.unwrap();
}

async fn ready(plane: &ControlPlane, actor: &Actor, made: &accounts::SignedUp) {
    eventually("the server is ready", async || servers::progress(plane, actor, made.server).await.unwrap().ready).await;
}
