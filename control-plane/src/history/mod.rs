//! What an archive tells of a server's time here: who the provider is and what was agreed, bills, use by day, the activity log.
//!
//! The runtime writes the archive and knows none of this, so it is handed over with the wish for an export
//! (`operations`), in the shapes of SPEC.md 12. It is read once and kept by the runtime for as long as the archive can be
//! fetched: a resumed download has the same bytes, whatever happened here meanwhile.
//!
//! It is small, and stays so: some hundred bytes for each day and each bill, and the newest of the log (`LOG_BYTES`).
//!
//! Invariant: whatever of our database is about one server or its owner is in there, or named with a reason in `omitted`
//! ([`coverage`]). Nothing in here depends on the standing of a bill.

mod bill;
pub mod coverage;

use export_format::history::{
    Event, INVOICE_SCHEMA, Invoice, InvoiceStatus, Line, PROVIDER_SCHEMA, Period, Provider, USAGE_SCHEMA, Usage,
};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tenant_runtime::admin::api::{Bill as BillHanded, Omission, ProviderHistory};
use tenant_runtime::ids::ServerId;

use crate::accounts::{self, Account};
use crate::business::{self, Business};
use crate::metering::{self, DayUsage};
use crate::servers::{self, Server};
use crate::subscriptions::{self, Bill};
use crate::{Actor, ControlPlane, Kind, Result, audit, domains};

/// About how much of the activity log goes along, in bytes of its rows: of the two years there are, nearly twenty events a
/// day. What a program does in a loop must not make a history that no server has the memory for.
const LOG_BYTES: usize = 4 << 20;

/// What is handed over with the wish for an archive. Nobody is kept from leaving because we cannot read our own books:
/// then the archive says that this is missing, and the program's log why.
pub(crate) async fn handed(plane: &ControlPlane, server: ServerId) -> Result<Option<ProviderHistory>> {
    audit::collect(plane, server).await;
    match of_server(plane, server).await {
        Ok(history) => Ok(Some(history)),
        Err(error) if error.kind() == Kind::Retry => Err(error),
        Err(error) => {
            tracing::error!(server.id = %server, error = error.chain(), "an archive goes without the history here");
            Ok(None)
        }
    }
}

/// Everything there is to tell of a server.
async fn of_server(plane: &ControlPlane, server: ServerId) -> Result<ProviderHistory> {
    let server = servers::server(plane, &Actor::System, server).await?;
    let account = accounts::account(plane, &Actor::System, server.account).await?;
    let business = business::business(plane).await?;
    let bill = match subscriptions::bill(plane, &Actor::System, server.account).await {
        Ok(bill) => Some(bill),
        Err(error) if error.kind() == Kind::Gone => None,
        Err(error) => return Err(error),
    };
    let today = plane.now().to_zoned(TimeZone::UTC).date();
    let days = metering::days_of(plane, server.id).await?;
    let (log, is_all) = audit::newest(plane, &server, LOG_BYTES).await?;
    let mut omitted = coverage::omissions();
    if !is_all {
        let why = "there are very many; the console shows all of the last two years";
        omitted.push(Omission { what: "the oldest events of the log".into(), why: why.into() });
    }
    Ok(ProviderHistory {
        invoices: bill.iter().flat_map(|bill| invoices(bill, &business, &account)).collect(),
        provider: provider(&business, business::console_origin(plane).await?, &server, &account, bill.as_ref()),
        usage: days.into_iter().map(|day| usage(day, today)).collect(),
        log: log.into_iter().map(Event::from).collect(),
        omitted,
        domains: domains::handed(plane, server.id).await?,
    })
}

fn provider(business: &Business, origin: String, server: &Server, account: &Account, bill: Option<&Bill>) -> Provider {
    let mut other = Map::new();
    let (email, since) = (account.email.as_str(), account.created.to_string());
    other.insert("account".into(), json!({"id": account.id.to_string(), "email": email, "since": since}));
    if let Some(bill) = bill {
        other.insert("plan".into(), plan(bill));
    }
    Provider {
        schema: PROVIDER_SCHEMA.into(),
        name: business.name.clone(),
        origin,
        from: Some(server.created.to_string()),
        until: None,
        server: Some(server.id.to_string()),
        other,
    }
}

/// What was agreed.
fn plan(bill: &Bill) -> Value {
    let terms = &bill.terms;
    let mut plan = json!({
        "id": bill.subscription.plan.to_string(),
        "agreement": bill.subscription.id.to_string(),
        "name": terms.name,
        "text": terms.blurb,
        "amount": terms.price_cents,
        "currency": terms.currency.to_string(),
        "storageBytes": terms.storage_bytes,
        "memoryBytes": terms.memory_bytes,
        "undoDays": terms.undo_days,
        "lossWindowMs": terms.loss_window_ms,
        "domains": terms.domains,
        "since": bill.subscription.anchor.to_string(),
    });
    if let Some(closing) = &bill.closing {
        plan["until"] = closing.ends.to_string().into();
    }
    plan
}

fn invoices(bill: &Bill, business: &Business, account: &Account) -> Vec<BillHanded> {
    let told = |invoice: &billing::Invoice| BillHanded {
        invoice: row(invoice, &bill.terms.name),
        text: bill::text(invoice, &bill.terms.name, &business.name, account),
    };
    bill.invoices.iter().map(told).collect()
}

fn row(invoice: &billing::Invoice, plan: &str) -> Invoice {
    let (status, settled) = match invoice.state {
        billing::InvoiceState::Open => (InvoiceStatus::Open, None),
        billing::InvoiceState::Paid { at } => (InvoiceStatus::Paid, Some(("paid", at))),
        billing::InvoiceState::Void { at } => (InvoiceStatus::Void, Some(("voided", at))),
    };
    let at = |name: &str| settled.filter(|(settled, _)| *settled == name).map(|(_, at): (_, Timestamp)| at.to_string());
    let agreement = ("agreement".to_owned(), Value::from(invoice.subscription.to_string()));
    let voided = at("voided").map(|at| ("voided".to_owned(), Value::from(at)));
    Invoice {
        schema: INVOICE_SCHEMA.into(),
        id: invoice.id.to_string(),
        number: Some(invoice.number.clone()),
        issued: invoice.issued.to_string(),
        period: Some(Period { from: invoice.period.start.to_string(), until: invoice.period.end.to_string() }),
        due: Some(invoice.due.to_string()),
        paid: at("paid"),
        currency: invoice.amount.currency.to_string(),
        amount: invoice.amount.cents,
        tax: None,
        lines: vec![Line { text: bill::line(invoice, plan), amount: invoice.amount.cents }],
        status,
        text: None,
        other: std::iter::once(agreement).chain(voided).collect(),
    }
}

fn usage(DayUsage { day, used }: DayUsage, today: Date) -> Usage {
    Usage {
        schema: USAGE_SCHEMA.into(),
        date: day.to_string(),
        bytes_in: Some(used.bytes_in),
        bytes_out: Some(used.bytes_out),
        cpu_us: Some(used.cpu_us),
        awake_ms: Some(used.awake_ms),
        stored_byte_seconds: Some(used.stored_byte_seconds),
        requests: None,
        partial: day >= today,
        other: Map::new(),
    }
}
