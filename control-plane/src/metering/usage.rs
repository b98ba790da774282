//! What was used, for who used it and for who runs the business.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use tenant_runtime::ids::ServerId;

use super::month::{self, Month};
use super::store;
use crate::paging::{Ask, Page};
use crate::servers::{self, ServerName};
use crate::{Actor, ControlPlane, Result};

pub(super) const HOUR_S: i64 = 3600;
pub(super) const DAY_S: i64 = 24 * HOUR_S;

/// An amount of everything that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Bytes that came for the server.
    pub bytes_in: u64,
    /// Bytes it sent.
    pub bytes_out: u64,
    /// The processor's time, in microseconds.
    pub cpu_us: u64,
    /// The time it was awake, in milliseconds.
    pub awake_ms: u64,
    /// Bytes kept, each for as many seconds as it was kept.
    pub stored_byte_seconds: u64,
}

impl Used {
    /// How many bytes were kept on average over so many seconds.
    #[must_use]
    pub fn average_stored(&self, seconds: u64) -> u64 {
        self.stored_byte_seconds / seconds.max(1)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
            cpu_us: self.cpu_us + other.cpu_us,
            awake_ms: self.awake_ms + other.awake_ms,
            stored_byte_seconds: self.stored_byte_seconds.saturating_add(other.stored_byte_seconds),
        }
    }
}

/// What one server used on one day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayUsage {
    /// The day.
    pub day: Date,
    /// What was used on it.
    pub used: Used,
}

/// What one server used in one month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthUsage {
    /// The month.
    pub month: Month,
    /// The days on which something was used, in order.
    pub days: Vec<DayUsage>,
    /// All of them together.
    pub total: Used,
    /// How many bytes it was last known to keep.
    pub stored_now: Option<u64>,
}

/// What a server used in one month, in a list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUsage {
    /// Which server.
    pub server: ServerId,
    /// Its name.
    pub name: ServerName,
    /// What it used.
    pub total: Used,
    /// How many bytes it was last known to keep.
    pub stored_now: Option<u64>,
}

/// What a server used in a month, for its owner and who runs the business.
pub async fn usage(plane: &ControlPlane, actor: &Actor, server: ServerId, month: Month) -> Result<MonthUsage> {
    servers::server(plane, actor, server).await?;
    let (days, stored_now) = days_between(plane, server, month.days()).await?;
    let total = days.iter().fold(Used::default(), |sum, day| sum.and(day.used));
    Ok(MonthUsage { month, days, total, stored_now })
}

/// What a server ever used, day by day, for its archive.
pub(crate) async fn days_of(plane: &ControlPlane, server: ServerId) -> Result<Vec<DayUsage>> {
    Ok(days_between(plane, server, month::EVER).await?.0)
}

/// What a server used on each day between two, and how many bytes it was last known to keep.
async fn days_between(
    plane: &ControlPlane,
    server: ServerId,
    between: (i64, i64),
) -> Result<(Vec<DayUsage>, Option<u64>)> {
    let mut days: BTreeMap<i64, Used> = BTreeMap::new();
    for (day, used) in store::days(plane.db(), server, between).await? {
        let sum = days.entry(day).or_default();
        *sum = sum.and(used);
    }
    let stored = store::stored(plane.db(), &[server]).await?.pop();
    for (day, bytes) in stored.iter().flat_map(|stored| stored.since_then(between, plane.now().as_second())) {
        let sum = days.entry(day).or_default();
        sum.stored_byte_seconds = sum.stored_byte_seconds.saturating_add(bytes);
    }
    let days = days.into_iter().map(|(day, used)| DayUsage { day: month::day(day), used }).collect();
    Ok((days, stored.map(|stored| stored.bytes)))
}

/// What every server used in a month, a page at a time, for who runs the business.
pub async fn usage_of_all(plane: &ControlPlane, actor: &Actor, month: Month, ask: &Ask) -> Result<Page<ServerUsage>> {
    let page = servers::servers(plane, actor, ask).await?;
    let ids: Vec<_> = page.items.iter().map(|server| server.id).collect();
    let mut totals: HashMap<ServerId, Used> = HashMap::new();
    for (server, used) in store::totals(plane.db(), &ids, month.days()).await? {
        let sum = totals.entry(server).or_default();
        *sum = sum.and(used);
    }
    let stored = store::stored(plane.db(), &ids).await?;
    let stored: HashMap<_, _> = stored.into_iter().map(|stored| (stored.server, stored)).collect();
    let view = |server: servers::Server| {
        let mut total = totals.get(&server.id).copied().unwrap_or_default();
        let stored = stored.get(&server.id);
        for (_, bytes) in stored.iter().flat_map(|stored| stored.since_then(month.days(), plane.now().as_second())) {
            total.stored_byte_seconds = total.stored_byte_seconds.saturating_add(bytes);
        }
        Ok(ServerUsage { server: server.id, name: server.name, total, stored_now: stored.map(|stored| stored.bytes) })
    };
    page.try_map(view)
}

/// What all servers used in a month together, and how many bytes they were last known to keep, for who runs the business.
pub async fn usage_in_all(plane: &ControlPlane, actor: &Actor, month: Month) -> Result<(Used, u64)> {
    actor.must_operate()?;
    let booked = store::total(plane.db(), month.days()).await?;
    let (bytes, since) = store::stored_in_all(plane.db(), month.days(), plane.now().as_second()).await?;
    Ok((booked.and(Used { stored_byte_seconds: since, ..Used::default() }), bytes))
}
