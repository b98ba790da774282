//! A plan as an operator types it: prices with a comma or a dot, storage in gigabytes.

use billing::{Currency, Money, PlanDraft};
use control_plane::Error;

/// The answers that make a plan.
#[derive(Debug, Clone, Default)]
pub(super) struct PlanForm {
    pub(super) name: String,
    pub(super) price: String,
    pub(super) storage: String,
    pub(super) undo_days: String,
    /// Seconds; nothing typed is nothing lost.
    pub(super) loss: String,
    /// Nothing typed leaves it as it was.
    pub(super) domains: String,
    pub(super) error: Option<String>,
}

const GB: f64 = 1e9;

impl PlanForm {
    /// As the form shows it.
    pub(super) fn of(terms: &PlanDraft) -> Self {
        let gigabytes = terms.storage_bytes as f64 / GB;
        Self {
            name: terms.name.clone(),
            price: terms.price().digits(),
            storage: if gigabytes.fract() == 0.0 { format!("{gigabytes:.0}") } else { format!("{gigabytes}") },
            undo_days: terms.undo_days.to_string(),
            loss: (terms.loss_window_ms as f64 / 1000.0).to_string(),
            domains: terms.domains.to_string(),
            error: None,
        }
    }

    /// What was typed, over what the plan held before; the rest of its terms stays.
    pub(super) fn read(&self, before: PlanDraft, currency: Currency) -> Result<PlanDraft, Error> {
        let price =
            Money::parse(&self.price, currency).ok_or_else(|| Error::fix("price", "A price is digits, like 7.90."))?;
        let gigabytes: f64 = self
            .storage
            .trim()
            .replace(',', ".")
            .parse()
            .ok()
            .filter(|gigabytes: &f64| gigabytes.is_finite() && *gigabytes > 0.0)
            .ok_or_else(|| Error::fix("storage", "Storage is a number of gigabytes, like 50."))?;
        let undo_days = self
            .undo_days
            .trim()
            .parse()
            .map_err(|_| Error::fix("undo_days", "Undo is a whole number of days, like 30."))?;
        let loss = match self.loss.trim() {
            "" => 0.0,
            typed => {
                typed.replace(',', ".").parse().ok().filter(|seconds: &f64| (0.0..=1e6).contains(seconds)).ok_or_else(
                    || Error::fix("loss_window", "What may be lost is a number of seconds, like 2, or 0."),
                )?
            }
        };
        let domains = match self.domains.trim() {
            "" => before.domains,
            typed => typed.parse().map_err(|_| Error::fix("domains", "Domains are a whole number, like 5, or 0."))?,
        };
        let terms = PlanDraft {
            name: self.name.trim().to_owned(),
            price_cents: price.cents,
            currency,
            storage_bytes: (gigabytes * GB) as u64,
            undo_days,
            domains,
            loss_window_ms: (loss * 1000.0).round() as u64,
            ..before
        };
        terms.check().map_err(|error| Error::fix(error.field(), error.to_string()))?;
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_as_it_is_shown() {
        for terms in PlanDraft::suggested(Currency::EUR) {
            assert_eq!(
                PlanForm::of(&terms).read(terms.clone(), Currency::EUR).map_err(|error| error.to_string()),
                Ok(terms)
            );
        }
    }

    #[test]
    fn what_makes_no_plan_names_its_field() {
        let good = PlanForm::of(&PlanDraft::suggested(Currency::EUR)[0]);
        let wrong = [
            (PlanForm { price: "cheap".into(), ..good.clone() }, "price"),
            (PlanForm { storage: "-1".into(), ..good.clone() }, "storage"),
            (PlanForm { undo_days: "soon".into(), ..good.clone() }, "undo_days"),
            (PlanForm { loss: "a little".into(), ..good.clone() }, "loss_window"),
            (PlanForm { loss: "0.05".into(), ..good.clone() }, "loss_window"),
            (PlanForm { domains: "many".into(), ..good.clone() }, "domains"),
            (PlanForm { domains: "101".into(), ..good.clone() }, "domains"),
            (PlanForm { loss: "61".into(), ..good.clone() }, "loss_window"),
            (PlanForm { name: " ".into(), ..good.clone() }, "name"),
        ];
        for (form, field) in wrong {
            let error = form.read(PlanDraft::suggested(Currency::EUR)[0].clone(), Currency::EUR);
            assert_eq!(error.map_err(|error| error.field()), Err(Some(field)), "{form:?}");
        }
        let bounded = PlanForm { loss: " 2,5".into(), ..good }
            .read(PlanDraft::suggested(Currency::EUR)[0].clone(), Currency::EUR);
        assert_eq!(bounded.map(|terms| terms.loss_window_ms).map_err(|error| error.to_string()), Ok(2_500));
    }
}
