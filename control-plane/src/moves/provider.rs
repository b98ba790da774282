//! What this provider tells everybody about itself, so that others can move servers here and away from here.

use export_format::moving::{Endpoints, Limits, PROTOCOL, Plan, Provider, VERSION};

use crate::{Actor, ControlPlane, Result, business};

/// For how long writes are held at most while the last of a server is handed over.
pub const HOLD_MS: u64 = 15_000;
/// For how many days the address of a server that has left leads on.
pub const FORWARD_DAYS: u32 = 90;
/// Where the calls of other providers arrive, on the console's origin.
pub const ENDPOINT: &str = "/move/v1";
/// Where an owner says that their server may leave.
pub const CONSENT: &str = "/move/consent";
/// Where an owner who said so elsewhere comes back to.
pub const RETURN: &str = "/move/return";

/// The program and its version, as others are told it.
const SOFTWARE: &str = concat!("freehold/", env!("CARGO_PKG_VERSION"));

/// What this provider tells about itself, to anybody.
pub async fn provider(plane: &ControlPlane) -> Result<Provider> {
    let business = business::ready(plane).await?;
    let origin = business::console_origin_of(plane, &business);
    let plans = business::plans(plane, &Actor::Visitor).await?;
    let at = |path: &str| format!("{origin}{path}");
    Ok(Provider {
        protocol: PROTOCOL.into(),
        versions: vec![VERSION],
        name: business.name.clone(),
        software: SOFTWARE.into(),
        archives: vec![export_format::manifest::VERSION.to_string()],
        regions: Vec::new(),
        limits: Limits {
            archive_bytes: plans.iter().map(|plan| plan.storage_bytes).max().unwrap_or_default(),
            hold_ms: HOLD_MS,
            forward_days: FORWARD_DAYS,
        },
        plans: plans
            .iter()
            .map(|plan| Plan {
                name: plan.name.clone(),
                storage_bytes: plan.storage_bytes,
                price: plan.price_cents.max(0).unsigned_abs(),
                currency: plan.currency.to_string(),
            })
            .collect(),
        key: Some(plane.keys().identity().public().to_string()),
        endpoints: Endpoints { endpoint: at(ENDPOINT), consent: at(CONSENT), back: at(RETURN) },
        origin,
    })
}
