//! Text at the edge: numbers become words here and nowhere else.
//!
//! As many digits as the interval deserves (down to the first digit of its half-width), two to four in all, three
//! without an interval. Times in ns µs ms s, sizes in binary, rates in decimal steps.

/// How a value is written: divided by `factor` and followed by `unit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// What one written unit is in stored units.
    pub factor: f64,
    /// The unit as written.
    pub unit: String,
}

impl Scale {
    /// The value in written units with this many decimals.
    #[must_use]
    pub fn write(&self, value: f64, decimals: usize) -> String {
        plain(value / self.factor, decimals)
    }

    /// A written number with the unit behind it.
    #[must_use]
    pub fn join(&self, text: &str) -> String {
        match &*self.unit {
            "" => text.to_owned(),
            "×" => format!("{text}×"),
            unit => format!("{text} {unit}"),
        }
    }
}

/// The scale that suits a magnitude in a stored unit.
#[must_use]
pub fn scale(unit: &str, magnitude: f64) -> Scale {
    let pick = |steps: &[(f64, &str)]| {
        // 999.6 would be written as 1000: the next step begins a little early.
        let fits = steps.iter().rev().find(|(factor, _)| magnitude.abs() >= factor * 0.9995);
        let (factor, name) = fits.or(steps.first()).copied().unwrap_or((1.0, ""));
        Scale { factor, unit: name.to_owned() }
    };
    match unit {
        "ns" => pick(&[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")]),
        "byte" => pick(&[(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")]),
        "flop/s" => pick(&[(1.0, "FLOP/s"), (1e6, "MFLOP/s"), (1e9, "GFLOP/s"), (1e12, "TFLOP/s")]),
        // A share is written in per cent; a ratio and a count are what they are at any size.
        "share" => Scale { factor: 0.01, unit: "%".to_owned() },
        "ratio" => Scale { factor: 1.0, unit: "×".to_owned() },
        "count" => Scale { factor: 1.0, unit: String::new() },
        "byte/s" => pick(&[(1.0, "B/s"), (1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s"), (1e12, "TB/s")]),
        _ => {
            let mut scale = pick(&[(1.0, ""), (1e3, "k "), (1e6, "M "), (1e9, "G "), (1e12, "T ")]);
            // Several of them in a second: `1.26 k instances/s`.
            let plain = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
            match unit.strip_suffix("/s").filter(plain) {
                Some(word) => {
                    let plural = format!("{word}s/s");
                    let known = crate::words::find("unit", &format!("{word}s-s"));
                    scale.unit.push_str(&known.unwrap_or(plural));
                }
                None => scale.unit.push_str(&clean(unit)),
            }
            scale
        }
    }
}

/// Decimals that show the first digit of the interval's half-width, and one more if that digit is a 1.
///
/// Never fewer than two digits of the value nor more than four; three without an interval.
#[must_use]
pub fn decimals(value: f64, ci95: Option<[f64; 2]>) -> usize {
    let exponent = |x: f64| if x > 0.0 { x.log10().floor() as i32 } else { 0 };
    // 0.9997 is written as 1.00: its first digit stands where that of 1 does.
    let lead = exponent(value.abs() * 1.0005);
    let wanted = match ci95 {
        Some([low, high]) if high > low => -exponent((high - low) / 4.0),
        _ => 2 - lead,
    };
    // Zero has no first digit that would have to be shown.
    let least = if value == 0.0 { 0 } else { 1 - lead };
    usize::try_from(wanted.clamp(least, 3 - lead)).unwrap_or(0)
}

/// A quantity with its unit: `1.23 ms`.
///
/// ```
/// use isomark_report::fmt::quantity;
/// assert_eq!(quantity("ns", 1_234_567.0, None), "1.23 ms");
/// assert_eq!(quantity("byte", 1_048_576.0, None), "1.00 MiB");
/// ```
#[must_use]
pub fn quantity(unit: &str, value: f64, ci95: Option<[f64; 2]>) -> String {
    let scale = scale(unit, magnitude(value, ci95));
    let text = scale.write(value, digits(&scale, value, ci95));
    // What rounds to all of it is no more of it for a zero behind the point.
    let whole =
        unit == "share" && text.strip_prefix("100.").is_some_and(|rest| rest.bytes().all(|b| b == b'0'));
    scale.join(if whole { "100" } else { &text })
}

/// A difference of two values with its sign: `+1.23 ms`; that of two shares is in points.
///
/// ```
/// use isomark_report::fmt::difference;
/// assert_eq!(difference("byte", 2048.0, None), "+2.00 KiB");
/// assert_eq!(difference("share", -0.125, None), "-12.5 points");
/// ```
#[must_use]
pub fn difference(unit: &str, apart: f64, ci95: Option<[f64; 2]>) -> String {
    let sign = if apart > 0.0 { "+" } else { "" };
    let text = quantity(unit, apart, ci95);
    let points = text
        .strip_suffix(" %")
        .filter(|_| unit == "share")
        .map(|number| format!("{number} {}", crate::words::named("unit", "points")));
    format!("{sign}{}", points.unwrap_or(text))
}

/// An interval without a unit, on the scale and with the digits of its value: `1.18–1.27`.
#[must_use]
pub fn interval(unit: &str, value: f64, ci95: [f64; 2]) -> String {
    let scale = scale(unit, magnitude(value, Some(ci95)));
    let decimals = digits(&scale, value, Some(ci95));
    between(&scale.write(ci95[0], decimals), &scale.write(ci95[1], decimals))
}

/// From one written number to another: `1.18–1.27`, and `-2.0…-0.1`, where a dash would be taken for a sign.
#[must_use]
pub fn between(from: &str, to: &str) -> String {
    let dash = if from.starts_with('-') || to.starts_with('-') { '…' } else { '–' };
    format!("{from}{dash}{to}")
}

/// What decides about the unit: the value, or the ends of its interval where it is zero.
fn magnitude(value: f64, ci95: Option<[f64; 2]>) -> f64 {
    match ci95 {
        Some([low, high]) if value == 0.0 => low.abs().max(high.abs()),
        _ => value,
    }
}

fn digits(scale: &Scale, value: f64, ci95: Option<[f64; 2]>) -> usize {
    // Neither a byte nor a nanosecond has parts.
    if matches!(scale.unit.as_str(), "B" | "ns") {
        return 0;
    }
    // Nothing is nothing in any unit.
    if value == 0.0 && ci95.is_none_or(|ci| ci == [0.0; 2]) {
        return 0;
    }
    // What is counted is whole unless it lies between two counts.
    let whole = |x: f64| x.fract() == 0.0;
    if scale.unit.is_empty() && whole(value) && ci95.is_none_or(|ci| ci.into_iter().all(whole)) {
        return 0;
    }
    decimals(value / scale.factor, ci95.map(|ci| ci.map(|x| x / scale.factor)))
}

/// A ratio: `1.23×`.
#[must_use]
pub fn ratio(value: f64, ci95: Option<[f64; 2]>) -> String {
    format!("{}×", plain(value, ratio_decimals(value, ci95)))
}

/// The interval of a ratio with the digits of its value: `1.18–1.27`.
#[must_use]
pub fn ratio_interval(value: f64, ci95: [f64; 2]) -> String {
    let decimals = ratio_decimals(value, Some(ci95));
    // A ratio is never zero: the low end of a wide interval keeps its first digit.
    let (low, first) = (plain(ci95[0], decimals), self::decimals(ci95[0], None));
    let nothing = !low.contains(|c: char| matches!(c, '1'..='9'));
    let low = if nothing && ci95[0] > 1e-9 { plain(ci95[0], first.saturating_sub(2)) } else { low };
    format!("{low}–{}", plain(ci95[1], decimals))
}

/// Four digits matter close to 1 only: nobody decides by the difference of 0.610 and 0.6097.
fn ratio_decimals(value: f64, ci95: Option<[f64; 2]>) -> usize {
    let wanted = decimals(value, ci95);
    if (0.9..1.1).contains(&value) { wanted } else { wanted.min(decimals(value, None)) }
}

/// A number without exponent and without a negative zero.
fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = text.starts_with('-') && text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    if zero { text[1..].to_owned() } else { text }
}

/// Words from outside made harmless to show: control characters and direction marks become visible or blank.
///
/// A message may hold terminal escapes, a host name anything. Markup is the business of whoever writes markup.
#[must_use]
pub fn clean(text: &str) -> String {
    // Nearly all words are harmless as they are, and there are millions of them in a large run.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    let one = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            '\u{fffd}'
        }
        '\u{61c}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(one).collect()
}

/// The same for a text of several lines, which stay lines.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// The beginning of a text, at most `limit` characters long.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: &str, value: f64, ci95: Option<[f64; 2]>, expected: &str) {
        assert_eq!(quantity(unit, value, ci95), expected);
    }

    #[test]
    fn units_step_where_people_step() {
        check("ns", 0.0, None, "0 ns");
        check("ns", 87.0, None, "87 ns");
        check("ns", 999.7, None, "1.00 µs");
        check("ns", 312_400.0, None, "312 µs");
        check("ns", 1.5e9, None, "1.50 s");
        check("byte", 512.0, None, "512 B");
        check("byte", 135_168.0, None, "132 KiB");
        check("byte", -2048.0, None, "-2.00 KiB");
        check("flop/s", 48.7e9, None, "48.7 GFLOP/s");
        check("byte/s", 12.34e9, None, "12.3 GB/s");
        check("key/s", 31.2e6, None, "31.2 M keys/s");
        check("call/s", 950.0, None, "950 calls/s");
        check("µ/s", 950.0, None, "950 µ/s");
        check("share", 0.4828, None, "48.3 %");
        check("share", 1.0, Some([1.0, 1.0]), "100 %");
        check("share", 0.0004, None, "0.0400 %");
        check("share", 0.0, None, "0 %");
        check("share", 0.99992, Some([0.99991, 0.99993]), "100 %");
        check("share", 0.0, Some([0.0, 0.0]), "0 %");
        check("ratio", 1.0, None, "1.00×");
        check("ratio", 3120.0, None, "3120×");
        check("count", 470.0, None, "470");
        check("count", 12_000.0, Some([11_000.0, 13_000.0]), "12000");
        check("count", 2.5, None, "2.50");
        check("count", 0.0, None, "0");
        assert_eq!(interval("share", 0.5, [0.45, 0.55]), "45–55");
        assert_eq!(interval("count", 24.0, [24.0, 32.0]), "24–32");
    }

    #[test]
    fn digits_follow_the_interval() {
        check("ns", 1_234_567.0, Some([1_230_000.0, 1_240_000.0]), "1.235 ms");
        check("ns", 1_234_567.0, Some([1_100_000.0, 1_400_000.0]), "1.23 ms");
        check("ns", 1_234_567.0, Some([600_000.0, 9_000_000.0]), "1.2 ms");
        check("ns", 312_412.0, Some([312_411.0, 312_413.0]), "312.4 µs");
        assert_eq!(ratio(3.871, Some([3.71, 4.02])), "3.87×");
        assert_eq!(ratio(0.9987, Some([0.9983, 0.9991])), "0.9987×");
        assert_eq!(ratio(1.0, Some([1.0, 1.0])), "1.00×");
        assert_eq!(ratio(0.0123, None), "0.0123×");
        assert_eq!(ratio_interval(3.871, [3.71, 4.02]), "3.71–4.02");
        assert_eq!(interval("ns", 1_234_567.0, [1_180_000.0, 1_270_000.0]), "1.18–1.27");
        assert_eq!(ratio_interval(11.2, [0.031, 36.4]), "0.03–36");
        // Zero has no unit of its own; its interval has.
        check("byte", 0.0, Some([-39_680.0, 930_523.0]), "0 KiB");
        assert_eq!(interval("byte", 0.0, [-39_680.0, 930_523.0]), "-39…909");
        check("byte", 0.0, Some([0.0, 0.0]), "0 B");
    }

    #[test]
    fn hostile_words_are_made_harmless() {
        assert_eq!(clean("a\u{1b}[31mred\nb\u{202e}c"), "a\u{fffd}[31mred b\u{fffd}c");
        assert_eq!(shortened("a long message", 7), "a long…");
        assert_eq!(shortened("short", 7), "short");
    }
}
