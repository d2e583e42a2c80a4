//! Thresholds as they are written in TOML.
//!
//! Read by hand from the parsed document, because only that knows the line of every name and value: each refusal says
//! where and what was meant.

use std::ops::Range;

use isomark_core::nearest::hint;
use isomark_core::{Error, Metric};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Absolute, Known, Limit, Row, Thresholds};
use crate::region::quantity;
use crate::stats::verdict::Quantity;

type Value<'t> = Spanned<DeValue<'t>>;

pub(super) fn read(file: &str, text: &str, known: &Known) -> Result<Thresholds, Error> {
    let place = Place { file, text };
    let document = DeTable::parse(text).map_err(|e| place.refuse(e.span(), e.message()))?;
    let mut all = Thresholds::default();
    for (key, value) in document.get_ref() {
        match &**key.get_ref() {
            "default" => default(&mut all, value, &place)?,
            "limit" => {
                let entries = value.get_ref().as_array().filter(|a| a.iter().all(|e| e.get_ref().is_table()));
                let entries =
                    entries.ok_or_else(|| place.refuse(value.span(), "write each limit as [[limit]]"))?;
                for entry in entries {
                    let row = row(entry, known, &place)?;
                    if all.rows.iter().any(|r| r.names() == row.names()) {
                        return Err(place.refuse(entry.span(), "the same runtime, scenario and metric again"));
                    }
                    all.rows.push(row);
                }
            }
            other => return Err(place.unknown(key.span(), other, &["default", "limit"])),
        }
    }
    Ok(all)
}

fn default(all: &mut Thresholds, value: &Value<'_>, place: &Place<'_>) -> Result<(), Error> {
    let table = place.table(value, "default")?;
    for (key, value) in table {
        let (limit, metric) = match &**key.get_ref() {
            "time" => (&mut all.time, Metric::time("time")),
            "rate" => (&mut all.rate, Metric::rate("rate", "work")),
            "size" => (&mut all.size, Metric::size("size")),
            other => return Err(place.unknown(key.span(), other, &["time", "rate", "size"])),
        };
        let Some(pair) = value.get_ref().as_table() else {
            *limit = Limit::relative(place.share(value)?);
            continue;
        };
        *limit = Limit::relative(0.0);
        for (key, value) in pair {
            match &**key.get_ref() {
                "relative" => limit.relative = place.share(value)?,
                "absolute" => limit.absolute = Some(place.absolute(value, Some(&metric))?.value),
                other => return Err(place.unknown(key.span(), other, &["relative", "absolute"])),
            }
        }
    }
    Ok(())
}

/// Keys of a `[[limit]]`.
const KEYS: [&str; 6] = ["runtime", "scenario", "metric", "relative", "absolute", "ignore"];

fn row(entry: &Value<'_>, known: &Known, place: &Place<'_>) -> Result<Row, Error> {
    let table = place.table(entry, "limit")?;
    let get = |name: &str| table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value);
    if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(&&**key.get_ref())) {
        return Err(place.unknown(key.span(), key.get_ref(), &KEYS));
    }
    let name = |key: &str, names: &[&str]| -> Result<Option<String>, Error> {
        let Some(value) = get(key) else { return Ok(None) };
        let text = value.get_ref().as_str();
        let text = text.ok_or_else(|| place.refuse(value.span(), &format!("{key} must be a name")))?;
        if names.contains(&text) {
            return Ok(Some(text.to_owned()));
        }
        let why = format!("{key} {text:?} is not known; {}", hint(text, names.iter().copied()));
        Err(place.refuse(value.span(), &why))
    };
    let scenario = name("scenario", &known.scenarios().collect::<Vec<_>>())?;
    let metrics: Vec<&Metric> = known.metrics(scenario.as_deref()).collect();
    let metric = name("metric", &metrics.iter().map(|m| &*m.name).collect::<Vec<_>>())?;
    let meant = metrics.iter().find(|m| Some(&*m.name) == metric.as_deref()).copied();
    let ignore = match get("ignore").map(|value| (value.span(), value.get_ref().as_bool())) {
        None => false,
        Some((_, Some(ignore))) => ignore,
        Some((span, None)) => return Err(place.refuse(span, "ignore must be true or false")),
    };
    let absolute = get("absolute").map(|value| place.absolute(value, meant)).transpose()?;
    let row = Row {
        runtime: name("runtime", &known.runtimes().collect::<Vec<_>>())?,
        scenario,
        metric,
        relative: get("relative").map(|value| place.share(value)).transpose()?,
        absolute,
        ignore,
    };
    if row.rank().0 == 0 {
        let why = "name a runtime, scenario or metric; for all there is [default]";
        return Err(place.refuse(entry.span(), why));
    }
    if row.relative.is_none() && row.absolute.is_none() && !row.ignore {
        return Err(place.refuse(entry.span(), "it needs relative, absolute or ignore"));
    }
    Ok(row)
}

/// Where in which file.
struct Place<'t> {
    file: &'t str,
    text: &'t str,
}

impl Place<'_> {
    fn refuse(&self, span: impl Into<Option<Range<usize>>>, why: &str) -> Error {
        let start = span.into().map_or(0, |span| span.start);
        let line = self.text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
        Error::Input(format!("thresholds {} line {line}: {why}", self.file))
    }

    fn unknown(&self, span: Range<usize>, key: &str, known: &[&str]) -> Error {
        self.refuse(span, &format!("key {key:?} is not known; {}", hint(key, known.iter().copied())))
    }

    fn table<'v, 't>(&self, value: &'v Value<'t>, name: &str) -> Result<&'v DeTable<'t>, Error> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.refuse(value.span(), &format!("{name} must be a table")))
    }

    /// `"3%"` or `0.03`.
    fn share(&self, value: &Value<'_>) -> Result<f64, Error> {
        let (number, scale) = match value.get_ref() {
            DeValue::String(text) => match text.trim().strip_suffix('%') {
                Some(percent) => (percent.trim().to_owned(), 0.01),
                None => (text.trim().to_owned(), 1.0),
            },
            DeValue::Float(number) => (number.as_str().to_owned(), 1.0),
            DeValue::Integer(number) => (number.to_string(), 1.0),
            _ => return Err(self.refuse(value.span(), "write a share as \"3%\" or 0.03")),
        };
        let found = number.replace('_', "").parse::<f64>().ok().map(|n| n * scale);
        match found.filter(|share| (0.0..=1000.0).contains(share)) {
            None => Err(self.refuse(value.span(), &format!("{number:?} is no share; write \"3%\" or 0.03"))),
            Some(share) if scale == 1.0 && share > 1.0 => {
                let why =
                    format!("{share} would be {} %; write \"{share}%\" if that is meant", share * 100.0);
                Err(self.refuse(value.span(), &why))
            }
            Some(share) => Ok(share),
        }
    }

    /// `"64 KiB"`, `"20 us"`, or a number in the metric's own unit.
    fn absolute(&self, value: &Value<'_>, metric: Option<&Metric>) -> Result<Absolute, Error> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.trim().to_owned(),
            DeValue::Float(number) => number.as_str().replace('_', ""),
            DeValue::Integer(number) => number.to_string(),
            _ => {
                return Err(self.refuse(value.span(), "write an amount as \"64 KiB\", \"20 us\" or a number"));
            }
        };
        let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (&text[..at], text[at..].trim());
        let number = number.parse::<f64>().ok().filter(|n| n.is_finite());
        let number = number.ok_or_else(|| {
            self.refuse(value.span(), &format!("{text:?} is no amount; write \"64 KiB\" or \"20 us\""))
        })?;
        if unit.is_empty() {
            return Ok(Absolute { value: number, kind: None });
        }
        let Some((_, factor, kind)) = UNITS.iter().find(|(name, ..)| *name == unit) else {
            let names: Vec<&str> = UNITS.iter().map(|(name, ..)| *name).collect();
            let why = format!("unit {unit:?} is not known; {}", hint(unit, names.iter().copied()));
            return Err(self.refuse(value.span(), &why));
        };
        if let Some(metric) = metric.filter(|metric| quantity(metric) != *kind || metric.unit.contains('/')) {
            let why =
                format!("{text:?} cannot be held against {}, whose unit is {}", metric.name, metric.unit);
            return Err(self.refuse(value.span(), &why));
        }
        Ok(Absolute { value: number * factor, kind: Some(*kind) })
    }
}

/// Units of absolute limits in stored units.
const UNITS: [(&str, f64, Quantity); 13] = [
    ("ns", 1.0, Quantity::Time),
    ("us", 1e3, Quantity::Time),
    ("µs", 1e3, Quantity::Time),
    ("ms", 1e6, Quantity::Time),
    ("s", 1e9, Quantity::Time),
    ("B", 1.0, Quantity::Size),
    ("K", 1024.0, Quantity::Size),
    ("KiB", 1024.0, Quantity::Size),
    ("kB", 1000.0, Quantity::Size),
    ("M", 1_048_576.0, Quantity::Size),
    ("MiB", 1_048_576.0, Quantity::Size),
    ("MB", 1e6, Quantity::Size),
    ("GiB", 1_073_741_824.0, Quantity::Size),
];
