//! What a number means: its name, its unit and which direction is better.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Which direction is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Times, sizes.
    Lower,
    /// Rates.
    Higher,
}

/// Name, unit and direction of a measured quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Unique within its scenario.
    pub name: Cow<'static, str>,
    /// `ns`, `byte`, `share`, `ratio`, `count`, or a rate such as `flop/s`.
    pub unit: Cow<'static, str>,
    /// Which direction is better.
    pub better: Better,
    /// Whether a runtime may have no such quantity (guest RAM of a process): absent then, not failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl Metric {
    /// The same metric for a quantity that not every runtime has.
    #[must_use]
    pub fn if_any(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same metric for a quantity of which more is better.
    #[must_use]
    pub fn higher(self) -> Self {
        Self { better: Better::Higher, ..self }
    }

    /// How many; fewer are better unless said otherwise.
    #[must_use]
    pub const fn count(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            unit: Cow::Borrowed("count"),
            better: Better::Lower,
            optional: false,
        }
    }

    /// A part of a whole, 0 for none and 1 for all; less is better unless said otherwise.
    #[must_use]
    pub const fn share(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            unit: Cow::Borrowed("share"),
            better: Better::Lower,
            optional: false,
        }
    }

    /// A quotient of two quantities of one kind, 1 for equal; less is better unless said otherwise.
    #[must_use]
    pub const fn ratio(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            unit: Cow::Borrowed("ratio"),
            better: Better::Lower,
            optional: false,
        }
    }

    /// A duration in ns.
    #[must_use]
    pub const fn time(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), unit: Cow::Borrowed("ns"), better: Better::Lower, optional: false }
    }

    /// A size in bytes.
    #[must_use]
    pub const fn size(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            unit: Cow::Borrowed("byte"),
            better: Better::Lower,
            optional: false,
        }
    }

    /// A rate of `work` units per second.
    #[must_use]
    pub fn rate(name: &'static str, work: &str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            unit: format!("{work}/s").into(),
            better: Better::Higher,
            optional: false,
        }
    }
}
