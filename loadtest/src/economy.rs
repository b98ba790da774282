//! What an idle server costs and how fast it is back: cached wakes, the price of the sandbox, the memory of a crowd
//! of awake servers, and how many a host wakes in a second.

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use infra::agent::State;
use rustix::process::{Pid, Signal};

use crate::measure::{Samples, milliseconds};
use crate::person::OwnServer;
use crate::platform::Platform;
use crate::pressure::{Ask, Target, press};

/// How long a server must have been idle before its memory is read: a little longer than it takes it to notice.
const IDLE: Duration = Duration::from_secs(8);

/// Puts everybody to sleep and waits until no runtime is left.
pub async fn all_asleep(platform: &Platform) -> Result<()> {
    let agent = platform.provider().agent();
    for _ in 0..2000 {
        platform.provider().plane().gates().sweep(Duration::ZERO).await;
        if agent.seen().await.iter().all(|server| matches!(server.state, State::Asleep)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("a server did not fall asleep")
}

/// Wakes one server again and again through the gateway, from its cache.
pub async fn wakes(platform: &Platform, server: &OwnServer, times: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    let target = Target::Port(platform.address());
    for _ in 0..times {
        all_asleep(platform).await?;
        let start = Instant::now();
        press(&target, &Ask::openly(&server.host(None)?, "/"), 1, 1).await?;
        samples.add(start.elapsed());
    }
    Ok(samples)
}

/// The time to a first answer of a runtime behind the walls, and of the same program started bare, in turns.
pub async fn sandbox(platform: &Platform, server: &OwnServer, times: usize) -> Result<()> {
    let agent = platform.provider().agent();
    all_asleep(platform).await?;
    press(&Target::Port(platform.address()), &Ask::openly(&server.host(None)?, "/"), 1, 1).await?;
    let seen = agent.seen().await;
    let awake = seen.iter().find(|server| matches!(server.state, State::Awake { .. }));
    let id = awake.context("the server that just answered is not awake")?.server;
    let socket = Target::Socket(agent.public_socket(id));
    let ask = Ask::openly(&server.host(None)?, "/");

    let folder = tempfile::tempdir()?;
    let program = infra::binaries::find("freehold-runtime")?;
    Bare::start(&program, folder.path())?.end()?;
    let (mut walled, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..times {
        agent.sleep(id).await?;
        let start = Instant::now();
        press(&socket, &ask, 1, 1).await?;
        walled.add(start.elapsed());

        let start = Instant::now();
        let process = Bare::start(&program, folder.path())?;
        press(&Target::Port(process.address), &Ask::openly(&process.host, "/"), 1, 1).await?;
        bare.add(start.elapsed());
        process.end()?;
    }
    all_asleep(platform).await?;
    let ratio = milliseconds(walled.median()) / milliseconds(bare.median());
    println!("sandboxed start           {walled}");
    println!("bare start                {bare}; sandboxed takes {ratio:.2} times as long");
    Ok(())
}

/// The same runtime without walls, on a port.
struct Bare {
    process: Child,
    /// Read from no further, but open: a program whose output nobody can take ends.
    _output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    host: String,
}

impl Bare {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut output = BufReader::new(process.stdout.take().context("its output")?).lines();
        let said = output.next().context("the runtime said nothing")??;
        let host = said.rsplit("//").next().unwrap_or_default().to_owned();
        let port = host.rsplit(':').next().unwrap_or_default().parse().with_context(|| format!("a port in {said}"))?;
        Ok(Self { process, _output: output, address: SocketAddr::from(([127, 0, 0, 1], port)), host })
    }

    /// In good order, so that the next start finds its copy of the home as warm as the sandboxed one does.
    fn end(mut self) -> Result<()> {
        rustix::process::kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let status = self.process.wait()?;
        ensure!(status.success(), "the bare runtime ended with {status}");
        Ok(())
    }
}

/// The memory of one awake idle server alone, and of a crowd of them; then how many of the crowd wake in a second.
pub async fn crowd(platform: &Platform, people: usize) -> Result<()> {
    all_asleep(platform).await?;
    let hosts: Vec<String> = (0..people).map(|nth| host(platform, nth)).collect();
    ask(platform, &hosts[..1]).await?;
    println!("idle awake server, alone  {:.2} MiB PSS", memory(platform, 1).await?);
    ask(platform, &hosts).await?;
    println!("idle awake server         {:.2} MiB PSS each, {people} of them", memory(platform, people).await?);
    all_asleep(platform).await?;
    println!("asleep                    no runtime");

    for clients in [1, 8, 32] {
        let before = spent();
        let (samples, took) = wake_all(platform, &hosts, clients).await?;
        all_asleep(platform).await?;
        let each = milliseconds(spent().saturating_sub(before)) / people as f64;
        let rate = people as f64 / took.as_secs_f64();
        println!(
            "waking {people:>4}, {clients:>2} at a time {rate:.0} wakes/s; {samples}; {each:.1} ms of processor time for each wake and sleep"
        );
    }
    Ok(())
}

/// Processor time that this process, its launchers and all runtimes that have ended took. On a busy machine it says
/// more than a rate: so many wakes a second are possible as fit into its processors.
fn spent() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<String> =
        children.flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let whole = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Its own time in its programs and in the kernel, and that of its children that have ended.
        after_name.split_whitespace().skip(11).take(4).filter_map(|ticks| ticks.parse::<u32>().ok()).sum::<u32>()
    };
    let own = whole("self");
    TICK * (own + children.iter().filter(|pid| !pid.is_empty()).map(|pid| whole(pid)).sum::<u32>())
}

/// Lets people sign up, a few at a time; their servers are called `person-0` and so on.
pub async fn gather(platform: &Platform, from: usize, people: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(from));
    let lines = (0..4).map(|_| async {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= people {
                return anyhow::Ok(());
            }
            platform.visitor()?.sign_up(&format!("person-{nth}")).await?;
        }
    });
    futures::future::try_join_all(lines).await.map(drop)
}

fn host(platform: &Platform, nth: usize) -> String {
    format!("person-{nth}.{}:{}", platform.domain, platform.address().port())
}

async fn ask(platform: &Platform, hosts: &[String]) -> Result<()> {
    let target = Target::Port(platform.address());
    for host in hosts {
        press(&target, &Ask::openly(host, "/"), 1, 1).await?;
    }
    Ok(())
}

/// The mean memory of the awake servers, in MiB of proportional set size.
async fn memory(platform: &Platform, expected: usize) -> Result<f64> {
    tokio::time::sleep(IDLE).await;
    let seen = platform.provider().agent().seen().await;
    let bytes = |state: &State| match state {
        State::Awake { usage, .. } => usage.pss_bytes,
        _ => None,
    };
    let awake: Vec<u64> = seen.iter().filter_map(|server| bytes(&server.state)).collect();
    ensure!(awake.len() == expected, "{} awake servers, not {expected}", awake.len());
    Ok(awake.iter().sum::<u64>() as f64 / awake.len() as f64 / f64::from(1 << 20))
}

/// Wakes every server once, so many at a time.
async fn wake_all(platform: &Platform, hosts: &[String], clients: usize) -> Result<(Samples, Duration)> {
    let target = Target::Port(platform.address());
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let lines = (0..clients).map(|_| async {
        let mut samples = Samples::default();
        while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
            samples.extend(press(&target, &Ask::openly(host, "/"), 1, 1).await?.samples);
        }
        anyhow::Ok(samples)
    });
    let done = futures::future::try_join_all(lines).await?;
    let took = start.elapsed();
    let mut samples = Samples::default();
    done.into_iter().for_each(|some| samples.extend(some));
    Ok((samples, took))
}
