//! What is paid, for what, when, and what happens if not.

use billing::{Banner as Loud, InvoiceState, Standing};
use control_plane::subscriptions::{self, Bill};

use super::landing::without_server;
use super::own_servers;
use crate::page::{self, Answer};
use crate::parts::{Banner, Fact, Html};
use crate::shell::Shell;
use crate::show;
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/bill.html")]
struct BillPage {
    shell: Shell,
    banner: Option<Banner>,
    plan_name: String,
    next_invoice: Option<Next>,
    lines: Vec<Fact>,
    unpaid: Vec<Html>,
    invoices: Vec<InvoiceLine>,
    next: String,
}

/// The next amount and when it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Next {
    pub(super) amount: String,
    pub(super) when: Html,
}

struct InvoiceLine {
    number: String,
    what: Html,
    tone: &'static str,
    state: Html,
    amount: String,
}

/// A bill as pages tell it.
pub(super) struct Told {
    pub(super) banner: Option<Banner>,
    pub(super) next_invoice: Option<Next>,
    pub(super) lines: Vec<Fact>,
    pub(super) next: String,
}

impl Told {
    pub(super) fn of(bill: &Bill) -> Self {
        let price = bill.terms.price();
        let open: Vec<_> = bill.invoices.iter().filter(|invoice| invoice.state == InvoiceState::Open).collect();
        let mut lines = vec![Fact::new("Plan", format!("{}, {price} a month", bill.terms.name))];
        lines.push(Fact::new("Saving", show::saved(bill.terms.loss_window_ms)));
        lines.push(Fact::new("Paid with", "invoice and bank transfer"));
        if let Some(closing) = &bill.closing {
            lines.push(
                Fact::html("Closed", show::day(closing.ends))
                    .noted(format!("erased on {} unless taken back", show::day(closing.erased).words())),
            );
        }
        for invoice in &open {
            let due = show::day(invoice.due).words();
            lines.push(
                Fact::new(&format!("Invoice {}", invoice.number), invoice.amount)
                    .noted(format!("open, to be paid until {due}")),
            );
        }
        let next_invoice = match (open.first(), &bill.next) {
            (Some(invoice), _) => Some(Next {
                amount: invoice.amount.to_string(),
                when: Html::text(format!("until {}", show::day(invoice.due).words())),
            }),
            (None, Some(period)) => Some(Next {
                amount: price.to_string(),
                when: Html::text(format!("on {}", show::day(period.start).words())),
            }),
            (None, None) => None,
        };
        let next = match (open.first(), &bill.next) {
            (Some(invoice), _) => format!(
                "Invoice {} over {} waits for your transfer until {}. Everything else goes by itself.",
                invoice.number,
                invoice.amount,
                show::day(invoice.due).words()
            ),
            (None, Some(period)) => {
                format!("Nothing is needed. On {} we send the next invoice by e-mail.", show::day(period.start).words())
            }
            (None, None) => "Nothing more is billed.".to_owned(),
        };
        Self { banner: banner(bill), next_invoice, lines, next }
    }
}

/// What a closed server's pages say first, until the last day.
fn closed(bill: &Bill) -> Option<Banner> {
    let closing = bill.closing?;
    let (ends, erased) = (show::day(closing.ends).words(), show::day(closing.erased).words());
    let what = match bill.standing {
        Standing::Ended { .. } => format!("This server is closed and sleeps since {ends}."),
        _ => format!("This server is closed and works until {ends}."),
    };
    let meaning = format!("It is erased on {erased}. Until then you can take that back, and export everything.");
    Some(Banner { tone: "warn", what, meaning, path: "/leave".into(), label: "Keep it, or export" })
}

fn banner(bill: &Bill) -> Option<Banner> {
    if let Some(banner) = closed(bill) {
        return Some(banner);
    }
    let since = match bill.standing {
        Standing::Active => return None,
        Standing::PastDue { since }
        | Standing::ReadOnly { since }
        | Standing::Asleep { since }
        | Standing::Ended { since } => show::day(since).words(),
    };
    let (tone, what, meaning) = match bill.consequence.banner? {
        Loud::Late => {
            let until = bill
                .schedule
                .map(|schedule| format!("Everything works as usual until {}.", show::day(schedule.read_only).words()));
            (
                "warn",
                format!("An invoice was to be paid by {since}."),
                until.unwrap_or_else(|| "Everything works as usual.".into()),
            )
        }
        Loud::ReadOnly => (
            "warn",
            format!("Since {since} your server can be read, not changed."),
            "Paying the open invoice undoes it at once; export works.".into(),
        ),
        Loud::Asleep => (
            "danger",
            format!("Since {since} your server sleeps."),
            "Everything on it is safe. Paying wakes it at once; export works.".into(),
        ),
        Loud::Ended => {
            ("danger", format!("Your subscription ended on {since}."), "You can still export everything.".into())
        }
    };
    Some(Banner { tone, what, meaning, path: "/bill".into(), label: "See what to do" })
}

/// `GET /bill`.
pub(super) async fn show(visit: Visit) -> Answer {
    let servers = own_servers(&visit).await?;
    let Some(server) = servers.first() else {
        return without_server(&visit, "bill").await;
    };
    let bill = subscriptions::bill(visit.console.plane(), &visit.actor, server.account).await?;
    let told = Told::of(&bill);
    let unpaid = match &bill.schedule {
        Some(plan) => vec![
            Html::text(format!("Until {}: everything works. We write to you.", show::day(plan.due).words())),
            Html::text(format!("From {}: still everything works.", show::day(plan.due).words())),
            Html::text(format!("From {}: you can read, not change.", show::day(plan.read_only).words())),
            Html::text(format!("From {}: your server sleeps.", show::day(plan.asleep).words())),
        ],
        None => [
            "At first everything works, and we write to you.",
            "Later you can read, not change.",
            "Later still your server sleeps.",
        ]
        .map(Html::text)
        .to_vec(),
    };
    let invoices = bill.invoices.iter().map(|invoice| {
        let (tone, state) = match invoice.state {
            InvoiceState::Open => ("warn", Html::text("Open")),
            InvoiceState::Paid { at } => ("ok", Html::text(format!("Paid {}", show::day(at).words()))),
            InvoiceState::Void { .. } => ("", Html::text("Void")),
        };
        let from = show::day(invoice.period.start).words();
        InvoiceLine {
            number: invoice.number.clone(),
            what: Html::text(format!("{}, the month from {from}", bill.terms.name)),
            tone,
            state,
            amount: invoice.amount.to_string(),
        }
    });
    page::show(&BillPage {
        shell: Shell::of(&visit, "bill", Some(server)).await?,
        plan_name: bill.terms.name.clone(),
        invoices: invoices.collect(),
        banner: told.banner,
        next_invoice: told.next_invoice,
        lines: told.lines,
        next: told.next,
        unpaid,
    })
}
