//! The machine under the provider: one host that is there from the start and is never given up.

use parking_lot::Mutex;

use super::{Error, Host, HostId, Hosts};

/// A source whose only host is this machine.
#[derive(Debug)]
pub struct Local {
    here: Host,
    acquired: Mutex<bool>,
}

impl Local {
    /// This machine, under the given id.
    #[must_use]
    pub fn new(id: HostId) -> Self {
        let here = Host { id, label: label(), memory_bytes: memory_bytes(), processors: processors() };
        Self { here, acquired: Mutex::new(false) }
    }
}

impl Hosts for Local {
    async fn acquire(&self) -> Result<Host, Error> {
        let mut acquired = self.acquired.lock();
        if std::mem::replace(&mut *acquired, true) {
            return Err(Error::Exhausted("this machine"));
        }
        Ok(self.here.clone())
    }

    async fn release(&self, id: HostId) -> Result<(), Error> {
        let mut acquired = self.acquired.lock();
        if id != self.here.id || !std::mem::replace(&mut *acquired, false) {
            return Err(Error::Unknown(id));
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Host>, Error> {
        Ok(if *self.acquired.lock() { vec![self.here.clone()] } else { Vec::new() })
    }
}

fn label() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_can_be_had_once_and_again_after_it_was_given_back() {
        let id = HostId::new(1);
        let local = Local::new(id);
        assert!(local.list().await.expect("a list").is_empty());
        let host = local.acquire().await.expect("this machine");
        assert!(host.memory_bytes > 0 && host.processors > 0);
        assert!(matches!(local.acquire().await, Err(Error::Exhausted(_))));
        assert_eq!(local.list().await.expect("a list"), vec![host]);
        assert!(matches!(local.release(HostId::new(2)).await, Err(Error::Unknown(_))));
        local.release(id).await.expect("it was acquired");
        local.acquire().await.expect("it was given back");
    }
}
