//! A bill as a person reads it, in plain text.

use billing::{Invoice, InvoiceState};
use jiff::Timestamp;

use crate::accounts::Account;

/// What a bill is for, in one line.
pub(super) fn line(invoice: &Invoice, plan: &str) -> String {
    format!("{plan}, from {} until {}", day(invoice.period.start), day(invoice.period.end))
}

/// The whole bill.
pub(super) fn text(invoice: &Invoice, plan: &str, business: &str, account: &Account) -> String {
    let state = match invoice.state {
        InvoiceState::Open => format!("Open, to be paid by {}.", day(invoice.due)),
        InvoiceState::Paid { at } => format!("Paid, as noted on {}.", day(at)),
        InvoiceState::Void { at } => format!("Taken back on {}: it asks for nothing.", day(at)),
    };
    format!(
        "Bill {number}\n\nFrom: {business}\nTo: {name}, {email}\nWritten on: {issued}\nTo be paid by: {due}\n\n\
         {line}: {amount}\n\nTotal: {amount}\n\n{state}\n",
        number = invoice.number,
        name = account.display_name,
        email = account.email.as_str(),
        issued = day(invoice.issued),
        due = day(invoice.due),
        line = line(invoice, plan),
        amount = invoice.amount,
    )
}

/// `5 December 2026`, in UTC.
fn day(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%-d %B %Y")
}
