//! Amounts in whole cents, because a float loses one sooner or later.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Whole cents; negative only for what is given back.
    pub cents: i64,
    /// What the cents are cents of.
    pub currency: Currency,
}

impl Money {
    /// So many cents of that currency.
    pub const fn new(cents: i64, currency: Currency) -> Self {
        Self { cents, currency }
    }

    /// Reads what a person types into a price field: `7`, `7.9`, `7,90`.
    pub fn parse(text: &str, currency: Currency) -> Option<Self> {
        let text = text.trim().replace(',', ".");
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        if whole.is_empty() || part.len() > 2 || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let part: i64 = format!("{part:0<2}").parse().ok()?;
        Some(Self::new(whole.checked_mul(100)?.checked_add(part)?, currency))
    }

    /// The digits alone, `7.90`, for a form field.
    pub fn digits(&self) -> String {
        let sign = if self.cents < 0 { "-" } else { "" };
        let cents = self.cents.unsigned_abs();
        format!("{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.currency.sign() {
            Some(sign) if self.cents < 0 => write!(f, "-{sign}{}", &self.digits()[1..]),
            Some(sign) => write!(f, "{sign}{}", self.digits()),
            None => write!(f, "{} {}", self.currency, self.digits()),
        }
    }
}

/// A currency by its three-letter code (ISO 4217) that is divided into hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// Why a text is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    /// Not three letters.
    #[error("A currency is three letters, such as EUR.")]
    Shape,
    /// Not divided into hundredths, which all our arithmetic assumes.
    #[error("Prices in this currency are not counted in hundredths, which is all we can do.")]
    NoHundredths,
}

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");
    /// The dollar of the United States.
    pub const USD: Self = Self(*b"USD");

    fn sign(self) -> Option<&'static str> {
        match &self.0 {
            b"EUR" => Some("€"),
            b"USD" => Some("$"),
            b"GBP" => Some("£"),
            _ => None,
        }
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code: [u8; 3] = text.trim().to_ascii_uppercase().as_bytes().try_into().map_err(|_| CurrencyError::Shape)?;
        if !code.iter().all(u8::is_ascii_uppercase) {
            return Err(CurrencyError::Shape);
        }
        // ISO 4217: minor units of zero or three digits.
        const OTHERS: [&[u8; 3]; 23] = [
            b"BIF", b"CLP", b"DJF", b"GNF", b"ISK", b"JPY", b"KMF", b"KRW", b"PYG", b"RWF", b"UGX", b"UYI", b"VND",
            b"VUV", b"XAF", b"XOF", b"XPF", b"BHD", b"IQD", b"JOD", b"KWD", b"OMR", b"TND",
        ];
        if OTHERS.contains(&&code) { Err(CurrencyError::NoHundredths) } else { Ok(Self(code)) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prices_read_as_people_write_them() {
        for (text, cents) in [("7", 700), ("7.9", 790), ("7,90", 790), (" 0 ", 0), ("12.05", 1205)] {
            assert_eq!(Money::parse(text, Currency::EUR), Some(Money::new(cents, Currency::EUR)), "{text}");
        }
        for text in ["", ".5", "-1", "1.234", "1e3", "seven", "99999999999999999999"] {
            assert_eq!(Money::parse(text, Currency::EUR), None, "{text}");
        }
    }

    #[test]
    fn amounts_show_their_currency() {
        assert_eq!(Money::new(790, Currency::EUR).to_string(), "€7.90");
        assert_eq!(Money::new(-5, Currency::EUR).to_string(), "-€0.05");
        assert_eq!(Money::new(790, "chf".parse().unwrap()).to_string(), "CHF 7.90");
    }

    #[test]
    fn a_currency_without_hundredths_is_refused() {
        assert_eq!("JPY".parse::<Currency>(), Err(CurrencyError::NoHundredths));
        assert_eq!("EURO".parse::<Currency>(), Err(CurrencyError::Shape));
    }

    proptest! {
        #[test]
        fn digits_read_back_to_the_same_cents(cents in 0i64..1_000_000_000) {
            let money = Money::new(cents, Currency::USD);
            prop_assert_eq!(Money::parse(&money.digits(), Currency::USD), Some(money));
        }
    }
}
