//! Control groups: the share of the machine one server may take.
//!
//! Both generations are spoken: version 2 with one tree, version 1 with a tree for each controller. A group exists
//! only while its server is awake. All groups of one provider lie in one folder named after its run folder, so that
//! what a killed run left is found and swept by name.
//!
//! Failure: a controller that is missing or not writable is reported and left out; the others still hold.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::agent::SandboxLimits;

use super::report::Mechanism;

/// What a controller of the kernel limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Processes,
    Cpu,
}

impl Controller {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }

    pub(super) fn mechanism(self) -> Mechanism {
        match self {
            Self::Memory => Mechanism::MemoryLimit,
            Self::Processes => Mechanism::ProcessLimit,
            Self::Cpu => Mechanism::CpuLimit,
        }
    }
}

/// Which generation of control groups a tree belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// One provider's folder in one tree, and what it can limit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tree {
    version: Version,
    folder: PathBuf,
    controllers: Vec<Controller>,
}

/// One provider's folders in all trees.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    trees: Vec<Tree>,
}

/// The group of one awake server; it must be removed by [`Group::remove`] when the server has ended.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<(Version, PathBuf)>,
    memory: Option<(Version, PathBuf)>,
}

/// How a process gets into a group. Both ways spare the kernel's lock over all processes, which takes it
/// milliseconds.
#[derive(Debug, Default)]
pub(super) struct Doors {
    /// Version 2: it is made there by `clone3`.
    pub(super) born_into: Option<OwnedFd>,
    /// Version 1: it writes `0` into these, which moves its one thread.
    pub(super) entered: Vec<OwnedFd>,
}

impl Groups {
    /// Finds and tries the controllers of this machine; the name tells this provider's groups from another's.
    pub(super) fn find(name: &str) -> (Self, Vec<(Controller, io::Result<Version>)>) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut groups = Self::default();
        let tried = Controller::ALL.map(|controller| {
            let found = place_of(controller, &mounts, &own);
            let tried = found.and_then(|(version, base)| groups.add(controller, version, &base, name));
            (controller, tried)
        });
        (groups, tried.into())
    }

    fn add(&mut self, controller: Controller, version: Version, base: &Path, name: &str) -> io::Result<Version> {
        let folder = match version {
            Version::One => base.join(name),
            Version::Two => delegate(base, name, controller)?,
        };
        fs::create_dir_all(&folder).map_err(|e| naming(&folder, &e))?;
        let tree = Tree { version, folder, controllers: vec![controller] };
        // A group is made and removed again, with a limit in it: only then is the controller known to work.
        let trial = Self { trees: vec![tree.clone()] };
        let limits = SandboxLimits { memory_bytes: 64 << 20, pids: 16, cpu_percent: 50 };
        trial.make("trial", limits)?.remove();
        match self.trees.iter_mut().find(|known| known.folder == tree.folder) {
            Some(known) => known.controllers.push(controller),
            None => self.trees.push(tree),
        }
        Ok(version)
    }

    /// Makes the group of one server.
    pub(super) fn make(&self, name: &str, limits: SandboxLimits) -> io::Result<Group> {
        let mut group = Group { folders: Vec::with_capacity(self.trees.len()), memory: None };
        for tree in &self.trees {
            let folder = tree.folder.join(name);
            match fs::create_dir(&folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    group.remove();
                    return Err(naming(&folder, &e));
                }
                _ => group.folders.push((tree.version, folder.clone())),
            }
            for (file, value) in tree.controllers.iter().flat_map(|of| settings(tree.version, *of, limits)) {
                let path = folder.join(file);
                // Swap accounting may be off, and a machine without swap needs none.
                let optional = file.contains("sw") || file.contains("oom");
                if let Err(e) = fs::write(&path, &value)
                    && !optional
                {
                    group.remove();
                    return Err(naming(&path, &e));
                }
            }
            if tree.controllers.contains(&Controller::Memory) {
                group.memory = Some((tree.version, folder));
            }
        }
        Ok(group)
    }

    /// Whether a controller bounds every group made here.
    pub(super) fn limits(&self, controller: Controller) -> bool {
        self.trees.iter().any(|tree| tree.controllers.contains(&controller))
    }

    /// This provider's own folders, for the sweep after a kill -9: the next run may have a place of its own elsewhere.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.trees.iter().map(|tree| tree.folder.clone()).collect()
    }

    /// Removes this provider's own folders; for a launcher that ends.
    pub(super) fn remove(&self) {
        for tree in &self.trees {
            let _ = fs::remove_dir(&tree.folder);
        }
    }
}

impl Group {
    /// The ways in.
    pub(super) fn doors(&self) -> io::Result<Doors> {
        let mut doors = Doors::default();
        for (version, folder) in &self.folders {
            match version {
                Version::Two => {
                    let opened = fs::File::open(folder).map_err(|e| naming(folder, &e))?;
                    doors.born_into = Some(opened.into());
                }
                Version::One => {
                    let path = folder.join("tasks");
                    let opened = fs::OpenOptions::new().write(true).open(&path).map_err(|e| naming(&path, &e))?;
                    doors.entered.push(opened.into());
                }
            }
        }
        Ok(doors)
    }

    /// Memory charged to the server now, in bytes.
    pub(crate) fn charged_bytes(&self) -> Option<u64> {
        let (version, folder) = self.memory.as_ref()?;
        let file = match version {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        };
        fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
    }

    /// Whether the kernel ended something here for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let Some((version, folder)) = self.memory.as_ref() else { return false };
        let file = match version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
    }

    /// Removes the group. A process that is still on its way out keeps it; the next sweep takes it then.
    pub(crate) fn remove(&self) {
        for (_, folder) in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Ends and removes what a former run left in its folders, and says how many processes that were.
pub(crate) fn sweep(folders: &[PathBuf]) -> usize {
    let mut ended = 0;
    for folder in folders {
        let groups = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for group in groups.filter(|path| path.is_dir()) {
            ended += empty(&group);
            let _ = fs::remove_dir(&group);
        }
        let _ = fs::remove_dir(folder);
    }
    ended
}

fn empty(group: &Path) -> usize {
    let mut ended = 0;
    for _ in 0..100 {
        let inside = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        let pids: Vec<_> =
            inside.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?)).collect();
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            ended += usize::from(rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    ended
}

/// What to write into a group, by file name.
fn settings(version: Version, controller: Controller, limits: SandboxLimits) -> Vec<(&'static str, String)> {
    const PERIOD_US: u64 = 100_000;
    let memory = limits.memory_bytes.to_string();
    let quota = u64::from(limits.cpu_percent) * PERIOD_US / 100;
    match (version, controller) {
        (Version::One, Controller::Memory) => {
            vec![("memory.limit_in_bytes", memory.clone()), ("memory.memsw.limit_in_bytes", memory)]
        }
        (Version::Two, Controller::Memory) => {
            vec![("memory.max", memory), ("memory.swap.max", "0".to_owned()), ("memory.oom.group", "1".to_owned())]
        }
        (_, Controller::Processes) => vec![("pids.max", limits.pids.to_string())],
        (Version::One, Controller::Cpu) => {
            vec![("cpu.cfs_period_us", PERIOD_US.to_string()), ("cpu.cfs_quota_us", quota.to_string())]
        }
        (Version::Two, Controller::Cpu) => vec![("cpu.max", format!("{quota} {PERIOD_US}"))],
    }
}

/// The tree of a controller, and this process's own place in it.
fn place_of(controller: Controller, mounts: &str, own: &str) -> io::Result<(Version, PathBuf)> {
    let lines = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let mut second = None;
    for (at, kind, options) in lines {
        if kind == "cgroup" && options.split(',').any(|option| option == controller.name()) {
            return Ok((Version::One, own_place(Path::new(at), own, Some(controller))));
        }
        if kind == "cgroup2" && second.is_none() {
            second = Some(own_place(Path::new(at), own, None));
        }
    }
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("no control group offers {:?}", controller.name()));
    let base = second.ok_or_else(missing)?;
    let offered = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    if offered.split_whitespace().any(|name| name == controller.name()) {
        return Ok((Version::Two, base));
    }
    Err(missing())
}

fn own_place(mount: &Path, own: &str, controller: Option<Controller>) -> PathBuf {
    let of_mine = |line: &&str| {
        let names = line.split(':').nth(1).unwrap_or_default();
        match controller {
            Some(controller) => names.split(',').any(|name| name == controller.name()),
            None => names.is_empty(),
        }
    };
    let path = own.lines().find(of_mine).and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or("/");
    let inside = mount.join(path.trim_start_matches('/'));
    if inside.is_dir() { inside } else { mount.to_path_buf() }
}

/// The name of the group a provider moves into, so that its own group can have children with limits.
const HOUSE: &str = "freehold-provider";

/// Where the groups of servers go in version 2: a group with processes of its own cannot limit its children, so
/// the provider's processes move one level down first.
fn delegate(base: &Path, name: &str, controller: Controller) -> io::Result<PathBuf> {
    let trunk = trunk_of(base);
    if let Err(e) = enable(&trunk, controller) {
        if e.raw_os_error() != Some(libc::EBUSY) {
            return Err(e);
        }
        move_house(&trunk)?;
        enable(&trunk, controller)?;
    }
    let folder = trunk.join(name);
    fs::create_dir_all(&folder).map_err(|e| naming(&folder, &e))?;
    enable(&folder, controller)?;
    Ok(folder)
}

fn trunk_of(base: &Path) -> PathBuf {
    match base.parent() {
        Some(above) if base.ends_with(HOUSE) => above.to_path_buf(),
        _ => base.to_path_buf(),
    }
}

fn enable(folder: &Path, controller: Controller) -> io::Result<()> {
    let path = folder.join("cgroup.subtree_control");
    fs::write(&path, format!("+{}", controller.name())).map_err(|e| naming(&path, &e))
}

/// Moves the provider's own processes down, if they are alone in their group.
fn move_house(trunk: &Path) -> io::Result<()> {
    let ours = [std::process::id(), std::os::unix::process::parent_id()];
    let inside = fs::read_to_string(trunk.join("cgroup.procs"))?;
    let pids: Vec<u32> = inside.lines().filter_map(|line| line.parse().ok()).collect();
    if let Some(other) = pids.iter().find(|pid| !ours.contains(pid)) {
        let why = format!("process {other} shares the provider's control group {}", trunk.display());
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
    }
    let house = trunk.join(HOUSE);
    fs::create_dir_all(&house)?;
    pids.iter().try_for_each(|pid| fs::write(house.join("cgroup.procs"), pid.to_string()))
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        // The number is kept because a caller looks at it.
        Some(libc::EBUSY) => io::Error::from_raw_os_error(libc::EBUSY),
        _ => io::Error::new(error.kind(), format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SandboxLimits = SandboxLimits { memory_bytes: 64 << 20, pids: 32, cpu_percent: 50 };

    fn tree(version: Version, folder: &Path) -> Groups {
        Groups { trees: vec![Tree { version, folder: folder.to_path_buf(), controllers: Controller::ALL.to_vec() }] }
    }

    #[test]
    fn limits_are_written_as_each_version_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |file: &str| fs::read_to_string(folder.path().join("srv").join(file)).expect("a file");
        tree(Version::Two, folder.path()).make("srv", LIMITS).expect("a group");
        assert_eq!([read("memory.max"), read("memory.swap.max")], ["67108864", "0"]);
        assert_eq!([read("pids.max"), read("cpu.max")], ["32", "50000 100000"]);
        tree(Version::One, folder.path()).make("srv", LIMITS).expect("a group");
        assert_eq!([read("memory.limit_in_bytes"), read("cpu.cfs_quota_us")], ["67108864", "50000"]);
    }

    #[test]
    fn the_trees_are_found_by_what_is_mounted() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let mounts = format!("cgroup {at}/memory cgroup rw,memory 0 0\ncgroup2 {at}/unified cgroup2 rw 0 0\n");
        fs::create_dir_all(folder.path().join("unified/me")).expect("a folder");
        fs::write(folder.path().join("unified/me/cgroup.controllers"), "pids cpuset\n").expect("a file");
        let own = "3:memory:/absent\n0::/me\n";
        let place = |controller| place_of(controller, &mounts, own);
        assert_eq!(place(Controller::Memory).expect("version 1"), (Version::One, folder.path().join("memory")));
        assert_eq!(place(Controller::Processes).expect("version 2"), (Version::Two, folder.path().join("unified/me")));
        assert_eq!(place(Controller::Cpu).expect_err("offered by neither").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_count_of_kills_tells_a_want_of_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let group = tree(Version::Two, folder.path()).make("srv", LIMITS).expect("a group");
        let events = folder.path().join("srv/memory.events");
        fs::write(&events, "low 0\noom 0\noom_kill 0\n").expect("a file");
        assert!(!group.ran_out_of_memory());
        fs::write(&events, "low 0\noom 1\noom_kill 1\n").expect("a file");
        assert!(group.ran_out_of_memory());
        fs::write(folder.path().join("srv/memory.current"), "4096\n").expect("a file");
        assert_eq!(group.charged_bytes(), Some(4096));
    }
}
