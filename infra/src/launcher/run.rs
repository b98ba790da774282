//! The launcher's one loop: it waits for callers, processes, orders and the clock, and never for anything else.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tenant_runtime::ids::ServerId;

use crate::isolation::Walls;

use super::app_host::{self, AppHost};
use super::channel::{Channel, Heard};
use super::running::Running;
use super::server::{Awake, End, Life, Server, Waiting};
use super::sockets::Sockets;
use super::spent::Spent;
use super::watch::{Index, Sign, Watch};
use super::wire::{Listed, News, Order, SetUp, Spec};

/// A launcher at work.
pub(super) struct Launcher {
    set_up: SetUp,
    walls: Walls,
    channel: Channel,
    watch: Watch,
    running: Running,
    servers: HashMap<Index, Server>,
    places: HashMap<ServerId, Index>,
    app_hosts: HashMap<Index, AppHost>,
    last: Index,
    drain: Option<u64>,
}

/// Why the loop ended.
pub(super) enum Parting {
    /// It was asked to, and every server sleeps.
    Drained,
    /// The agent is gone, or this process was told to end.
    Alone,
}

impl Launcher {
    pub(super) fn new(set_up: SetUp, walls: Walls, stream: UnixStream, termination: &OwnedFd) -> io::Result<Self> {
        let channel = Channel::new(stream)?;
        let watch = Watch::new()?;
        watch.add(channel.fd(), Sign::Agent)?;
        watch.add(termination.as_fd(), Sign::Termination)?;
        let running = Running::begin(&set_up.run_dir)?;
        let (servers, places, app_hosts) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { set_up, walls, channel, watch, running, servers, places, app_hosts, last: 0, drain: None })
    }

    pub(super) fn tell(&mut self, news: &News) {
        self.channel.tell(news);
    }

    /// Works until there is no more to do.
    pub(super) fn work(&mut self) -> io::Result<Parting> {
        let mut blocked = false;
        loop {
            let left = self.channel.send().unwrap_or(false);
            if left != blocked {
                self.watch.also_writable(self.channel.fd(), Sign::Agent, left)?;
                blocked = left;
            }
            if let Some(number) = self.drain
                && self.servers.values().all(|server| !matches!(server.life, Life::Awake(_)))
                && self.app_hosts.is_empty()
            {
                self.tell(&News::Done { number });
                let _ = self.channel.send_all();
                return Ok(Parting::Drained);
            }
            let (signs, due) = self.watch.wait()?;
            for sign in signs {
                match sign {
                    Sign::Termination => return Ok(Parting::Alone),
                    Sign::Agent => match self.channel.hear()? {
                        Heard::Silence(_) => return Ok(Parting::Alone),
                        Heard::Orders(orders) => orders.into_iter().for_each(|order| self.obey(order)),
                    },
                    Sign::Called(index) => self.wake(index),
                    Sign::Wish(index) => self.grant(index),
                    Sign::Log(index) if self.app_hosts.contains_key(&index) => self.pass_on_of_app_host(index),
                    Sign::Ended(index) if self.app_hosts.contains_key(&index) => self.bury_app_host(index),
                    Sign::Notice(index) => self.notice(index),
                    Sign::Log(index) => self.pass_on(index),
                    Sign::Ended(index) => self.bury(index),
                }
            }
            due.into_iter().for_each(|index| self.time_has_come(index));
        }
    }

    /// Ends every process at once, waits until they are gone, and says what they took.
    pub(super) fn kill_all(&mut self) -> Vec<Spent> {
        self.servers.values_mut().filter_map(Server::awake).for_each(|awake| awake.kill());
        self.app_hosts.values().for_each(AppHost::kill);
        let running = &mut self.running;
        let mut spent: Vec<Spent> =
            self.servers.values_mut().filter_map(|server| Some(server.bury(running, 0)?.1)).collect();
        spent.extend(self.app_hosts.drain().map(|(_, app_host)| app_host.bury(running)));
        self.walls.raze();
        spent
    }

    /// Removes every server's sockets; for an end in good order.
    pub(super) fn remove_sockets(&self) {
        for server in self.servers.values() {
            let _ = server.sockets.remove();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::SetUp(_) => {}
            Order::Place { number, spec } => match self.place(*spec) {
                Ok(None) => self.tell(&News::Done { number }),
                // It goes on with the former launch until it sleeps.
                Ok(Some(index)) => self.put_to_sleep(index, Waiting::Sleep(number), super::PATIENCE),
                Err(e) => self.tell(&News::Failed { number, why: e.to_string() }),
            },
            Order::Sleep { number, server, deadline_ms } => match self.places.get(&server) {
                None => self.tell(&News::Unknown { number }),
                Some(index) => {
                    self.put_to_sleep(*index, Waiting::Sleep(number), Duration::from_millis(deadline_ms));
                }
            },
            Order::Displace { number, server, deadline_ms } => match self.places.remove(&server) {
                None => self.tell(&News::Unknown { number }),
                Some(index) => {
                    self.put_to_sleep(index, Waiting::Displace(number), Duration::from_millis(deadline_ms));
                }
            },
            Order::Evict { number, server, aside } => {
                let place = self.places.get(&server).and_then(|index| self.servers.get(index));
                let news = match place.map(|server| server.set_cache_aside(&aside)) {
                    None => News::Unknown { number },
                    Some(Ok(true)) => News::Done { number },
                    Some(Ok(false)) => News::Busy { number },
                    Some(Err(e)) => News::Failed { number, why: e.to_string() },
                };
                self.tell(&news);
            }
            Order::List { number } => {
                let listed = |server: &Server| Listed { server: server.spec.server, doing: server.doing() };
                let servers = self.places.values().filter_map(|index| self.servers.get(index)).map(listed).collect();
                self.tell(&News::Listed { number, servers });
            }
            Order::Drain { number, deadline_ms } => self.begin_drain(number, Duration::from_millis(deadline_ms)),
        }
    }

    /// Places a server, or changes how it will be run; gives its index when it must sleep first.
    fn place(&mut self, spec: Spec) -> io::Result<Option<Index>> {
        if let Some(index) = self.places.get(&spec.server).copied()
            && let Some(server) = self.servers.get_mut(&index)
        {
            if server.spec == spec {
                return Ok(None);
            }
            server.spec = spec;
            server.crashes = None;
            if let Life::Resting(_) = server.life {
                self.rest_is_over(index);
            }
            return Ok(matches!(self.servers.get(&index), Some(Server { life: Life::Awake(_), .. })).then_some(index));
        }
        let sockets = Sockets::listen(&self.set_up.run_dir, spec.server)?;
        self.last += 1;
        let index = self.last;
        for socket in [&sockets.public, &sockets.admin] {
            self.watch.add(socket.as_fd(), Sign::Called(index))?;
        }
        self.places.insert(spec.server, index);
        self.servers.insert(index, Server::new(spec, sockets));
        Ok(None)
    }

    fn put_to_sleep(&mut self, index: Index, waiting: Waiting, patience: Duration) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        server.waiting.push(waiting);
        match &mut server.life {
            Life::Awake(awake) => {
                let deadline = Instant::now() + patience;
                awake.ask_to_end(deadline);
                self.watch.at(deadline, index);
            }
            Life::Asleep | Life::Resting(_) => self.answer_waiting(index),
        }
    }

    fn begin_drain(&mut self, number: u64, patience: Duration) {
        self.drain = Some(number);
        let deadline = Instant::now() + patience;
        for (index, server) in &mut self.servers {
            match &mut server.life {
                Life::Awake(awake) => {
                    awake.ask_to_end(deadline);
                    self.watch.at(deadline, *index);
                }
                _ => {
                    let _ = self.watch.ignore([&server.sockets.public, &server.sockets.admin], *index);
                }
            }
        }
    }

    fn wake(&mut self, index: Index) {
        let called = Instant::now();
        let Some(server) = self.servers.get_mut(&index) else { return };
        if self.drain.is_some() || !matches!(server.life, Life::Asleep) {
            return;
        }
        let _ = self.watch.ignore([&server.sockets.public, &server.sockets.admin], index);
        let woken = server.wake(&self.walls, &mut self.running, called, now_ms());
        let woken = woken.and_then(|awake| follow(&self.watch, awake, index));
        if let Err(e) = woken {
            if let Some(awake) = server.awake() {
                awake.kill();
                let _ = server.bury(&mut self.running, now_ms());
            }
            let status = server.stumble(e.to_string(), now_ms());
            let news = News::Crashed { server: server.spec.server, status };
            self.tell(&news);
            self.rest(index);
        }
    }

    fn notice(&mut self, index: Index) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        let id = server.spec.server;
        let Some(awake) = server.awake() else { return };
        let heard = awake.hear();
        // It says one thing; after that, or when it closed the pipe, there is nothing to wait for.
        self.watch.remove(awake.confined.notice.as_fd());
        if let Some(ms) = heard.and_then(|notice| awake.noticed(notice)) {
            self.tell(&News::Woke { server: id, ms });
        }
    }

    fn pass_on(&mut self, index: Index) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        let id = server.spec.server;
        let Some(awake) = server.awake() else { return };
        let lines = awake.log.read(awake.confined.log.as_fd());
        if lines.is_empty() && is_closed(&awake.confined.log) {
            self.watch.remove(awake.confined.log.as_fd());
        }
        for line in lines {
            self.tell(&News::Said { server: id, line });
        }
    }

    fn bury(&mut self, index: Index) {
        self.pass_on(index);
        let Some(server) = self.servers.get_mut(&index) else { return };
        let id = server.spec.server;
        let Some(awake) = server.awake() else { return };
        if let Some(line) = awake.log.rest() {
            self.channel.tell(&News::Said { server: id, line });
        }
        for fd in [&awake.confined.pidfd, &awake.confined.notice, &awake.confined.log].into_iter().chain(&awake.wishes)
        {
            self.watch.remove(fd.as_fd());
        }
        // They have nobody to work for.
        self.app_hosts.values().filter(|app_host| app_host.owner == index).for_each(AppHost::kill);
        let Some((end, spent)) = server.bury(&mut self.running, now_ms()) else { return };
        self.tell(&News::Ran { spent });
        match end {
            End::Slept => {
                self.tell(&News::Slept { server: id });
                self.listen(index);
            }
            End::Crashed(status) => {
                self.tell(&News::Crashed { server: id, status });
                self.rest(index);
            }
        }
        self.answer_waiting(index);
    }

    /// Starts an app host for a runtime that wants one.
    fn grant(&mut self, index: Index) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        let (id, beside) = (server.spec.server, (server.spec.user, server.spec.limits));
        let Some(awake) = server.awake() else { return };
        let Some(wishes) = &awake.wishes else { return };
        let (life, socket) = match app_host::hear(wishes) {
            Ok(Some(wish)) => wish,
            Ok(None) => return,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => {
                self.watch.remove(wishes.as_fd());
                return;
            }
        };
        // Whoever wishes too often finds the other end closed.
        if !awake.purse.take(Instant::now()) || awake.stopping.is_some() {
            return;
        }
        self.app_hosts.values().filter(|host| host.owner == index && host.life == life).for_each(AppHost::kill);
        self.last += 1;
        let new = self.last;
        let started = AppHost::start(&self.walls, &mut self.running, (id, index, new), beside, life, &socket);
        let failed = match started {
            Ok(host) => match follow_app_host(&self.watch, &host, new) {
                Ok(()) => return drop(self.app_hosts.insert(new, host)),
                Err(e) => {
                    host.kill();
                    let spent = host.bury(&mut self.running);
                    self.tell(&News::Ran { spent });
                    e
                }
            },
            Err(e) => e,
        };
        self.tell(&News::Trouble { what: format!("no app host could be started for {id}: {failed}") });
    }

    fn pass_on_of_app_host(&mut self, index: Index) {
        let Some(host) = self.app_hosts.get_mut(&index) else { return };
        let lines = host.log.read(host.confined.log.as_fd());
        if lines.is_empty() && is_closed(&host.confined.log) {
            self.watch.remove(host.confined.log.as_fd());
        }
        let server = host.server;
        for line in lines {
            self.tell(&News::Said { server, line });
        }
    }

    fn bury_app_host(&mut self, index: Index) {
        self.pass_on_of_app_host(index);
        let Some(mut host) = self.app_hosts.remove(&index) else { return };
        for fd in [&host.confined.pidfd, &host.confined.log] {
            self.watch.remove(fd.as_fd());
        }
        let server = host.server;
        if let Some(line) = host.log.rest() {
            self.tell(&News::Said { server, line });
        }
        if let Some(why) = host.why_not() {
            self.tell(&News::Trouble { what: format!("no app host could be started for {server}: {why}") });
        }
        let spent = host.bury(&mut self.running);
        self.tell(&News::Ran { spent });
    }

    /// Leaves a server that crashed alone for a while.
    fn rest(&mut self, index: Index) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        let pause = server.crashes.as_ref().map_or(Duration::ZERO, |crashes| crashes.pause());
        let until = Instant::now() + pause;
        server.life = Life::Resting(until);
        self.watch.at(until, index);
    }

    fn rest_is_over(&mut self, index: Index) {
        if let Some(server) = self.servers.get_mut(&index) {
            server.life = Life::Asleep;
            self.listen(index);
        }
    }

    /// Waits for callers again; those in the queue call at once.
    fn listen(&mut self, index: Index) {
        if self.drain.is_some() {
            return;
        }
        let Some(server) = self.servers.get(&index) else { return };
        if let Err(e) = self.watch.listen([&server.sockets.public, &server.sockets.admin], index) {
            let what = format!("{} cannot be woken: {e}", server.spec.server);
            self.tell(&News::Trouble { what });
        }
    }

    fn time_has_come(&mut self, index: Index) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        let now = Instant::now();
        match &server.life {
            Life::Resting(until) if *until <= now => self.rest_is_over(index),
            Life::Awake(awake) if awake.stopping.is_some_and(|deadline| deadline <= now) => awake.kill(),
            _ => {}
        }
    }

    fn answer_waiting(&mut self, index: Index) {
        let Some(server) = self.servers.get_mut(&index) else { return };
        let mut leaves = false;
        for waiting in std::mem::take(&mut server.waiting) {
            let (Waiting::Sleep(number) | Waiting::Displace(number)) = waiting;
            leaves |= matches!(waiting, Waiting::Displace(_));
            self.channel.tell(&News::Done { number });
        }
        if leaves && let Some(server) = self.servers.remove(&index) {
            let id = server.spec.server;
            for socket in [&server.sockets.public, &server.sockets.admin] {
                self.watch.remove(socket.as_fd());
            }
            // Unless it was placed again meanwhile, with sockets of the same name.
            if !self.places.contains_key(&id)
                && let Err(e) = server.sockets.remove()
            {
                let what = format!("the sockets of {id} could not be removed: {e}");
                self.tell(&News::Trouble { what });
            }
        }
    }
}

fn follow(watch: &Watch, awake: &Awake, index: Index) -> io::Result<()> {
    watch.add(awake.confined.pidfd.as_fd(), Sign::Ended(index))?;
    watch.add(awake.confined.notice.as_fd(), Sign::Notice(index))?;
    watch.add(awake.confined.log.as_fd(), Sign::Log(index))?;
    awake.wishes.iter().try_for_each(|wishes| watch.add(wishes.as_fd(), Sign::Wish(index)))
}

fn follow_app_host(watch: &Watch, host: &AppHost, index: Index) -> io::Result<()> {
    watch.add(host.confined.log.as_fd(), Sign::Log(index))?;
    watch.add(host.confined.pidfd.as_fd(), Sign::Ended(index))
}

/// Whether nobody holds the writing end any more.
fn is_closed(pipe: &OwnedFd) -> bool {
    let mut poll = [rustix::event::PollFd::new(pipe, rustix::event::PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut poll, Some(&now)).is_ok_and(|count| count > 0)
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
