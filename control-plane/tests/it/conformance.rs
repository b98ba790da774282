//! What every host does, held against the one in memory and, where its programs are built, against the real agent.

use std::sync::Arc;

use control_plane::servers::Host;
use infra::agent::{Error, SandboxLimits, State};
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, Site, StorageAt};
use tokio::net::UnixStream;

use crate::support::MemoryHost;

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
        limits: Limits { storage_bytes: 1 << 30, record_bytes: Limits::RECORD_BYTES, memory_bytes: 256 << 20, undo_days: 30 },
        standing: Access::Full,
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
