//! Which host a server goes to. Pure: hosts as they were last seen go in, a host comes out.

use infra::hosts::HostId;

/// A host as far as placing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub host: HostId,
    /// Whether it takes new servers.
    pub open: bool,
    /// Servers placed there.
    pub placed: u64,
    /// All of its memory, in bytes.
    pub memory_bytes: u64,
}

/// The host for a server: the one it is on, as long as that is open, because its cache is warm there; otherwise the one
/// with the most memory for each server it would then have. The lower id breaks a tie, so that two passes agree.
pub fn choose(rooms: &[Room], current: Option<HostId>) -> Option<HostId> {
    let open = || rooms.iter().filter(|room| room.open);
    if let Some(stays) = open().find(|room| Some(room.host) == current) {
        return Some(stays.host);
    }
    let share = |room: &Room| room.memory_bytes / (room.placed + 1);
    open().max_by(|a, b| share(a).cmp(&share(b)).then(b.host.cmp(&a.host))).map(|room| room.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(n: i64, open: bool, placed: u64) -> Room {
        Room { host: HostId::new(n), open, placed, memory_bytes: 64 << 30 }
    }

    #[test]
    fn a_server_stays_where_its_cache_is_warm() {
        let rooms = [room(1, true, 0), room(2, true, 900)];
        assert_eq!(choose(&rooms, Some(rooms[1].host)), Some(rooms[1].host));
    }

    #[test]
    fn a_closed_host_is_left_for_the_emptiest_open_one() {
        let rooms = [room(1, true, 10), room(2, false, 0), room(3, true, 2)];
        assert_eq!(choose(&rooms, Some(rooms[1].host)), Some(rooms[2].host));
        assert_eq!(choose(&rooms, None), Some(rooms[2].host));
    }

    #[test]
    fn without_an_open_host_there_is_none() {
        assert_eq!(choose(&[room(1, false, 0)], None), None);
        assert_eq!(choose(&[], None), None);
    }

    #[test]
    fn a_tie_is_broken_the_same_way_every_time() {
        let (a, b) = (room(1, true, 3), room(2, true, 3));
        assert_eq!(choose(&[a, b], None), choose(&[b, a], None));
    }
}
