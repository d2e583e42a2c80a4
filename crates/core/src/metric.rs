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
    /// `ns`, `byte`, or a rate such as `flop/s`.
    pub unit: Cow<'static, str>,
    /// Which direction is better.
    pub better: Better,
}

impl Metric {
    /// A duration in ns.
    #[must_use]
    pub const fn time(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), unit: Cow::Borrowed("ns"), better: Better::Lower }
    }

    /// A size in bytes.
    #[must_use]
    pub const fn size(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), unit: Cow::Borrowed("byte"), better: Better::Lower }
    }

    /// A rate of `work` units per second.
    #[must_use]
    pub fn rate(name: &'static str, work: &str) -> Self {
        Self { name: Cow::Borrowed(name), unit: format!("{work}/s").into(), better: Better::Higher }
    }
}
