//! Which parameters a plan may give: a slip of the pen in a name or a type is refused, and never a silent default.

use std::ops::RangeInclusive;

use isomark_core::{Ability, Features, Origin, Params, Refusal, Value};

/// What a parameter must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    /// A word.
    Word,
    /// A number.
    Number,
}

/// What every scenario hands on to the runtime.
const COMMON: [(&str, Is); 4] =
    [("memory", Is::Number), ("pages", Is::Word), ("provision", Is::Word), ("cpu", Is::Word)];

/// What a start begins with, for the scenarios that may be told.
pub(crate) const ORIGIN: (&str, Is) = ("origin", Is::Word);

/// Whether the word of `origin` is one; a plan that gives none means a fresh start.
pub(crate) fn origin(scenario: &str, params: Params) -> Result<Params, Refusal> {
    if params.text("origin").is_none() {
        Ok(params)
    } else {
        word(scenario, params, "origin", &Origin::WORDS)
    }
}

/// What a runtime must be able to do for the origin.
pub(crate) fn needs(params: &Params) -> Option<Ability> {
    params.text("origin").map(Origin::of).and_then(|origin| origin.needs())
}

/// Checks names and types against what the scenario takes.
pub(crate) fn check(scenario: &str, params: &Params, own: &[(&str, Is)]) -> Result<(), Refusal> {
    let known = || own.iter().chain(&COMMON);
    for (name, value) in params.iter() {
        let Some((_, is)) = known().find(|(known, _)| *known == name) else {
            let names = known().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(Refusal::Input(format!("{scenario}: parameter {name:?} is none of {names}")));
        };
        let fits = match is {
            Is::Word => matches!(value, Value::Text(_)),
            Is::Number => matches!(value, Value::Number(_)),
        };
        if *name == *"pages"
            && !matches!(value, Value::Text(text) if ["small", "huge"].contains(&text.as_str()))
        {
            return Err(Refusal::Input(format!("{scenario}: pages = {value} is neither small nor huge")));
        }
        if let ("cpu", Value::Text(word)) = (name, value) {
            let known = word.parse::<Features>();
            known.map_err(|e| Refusal::Input(format!("{scenario}: {e}")))?;
        }
        if !fits {
            let must = if *is == Is::Word { "word" } else { "number" };
            return Err(Refusal::Input(format!("{scenario}: {name} = {value} must be a {must}")));
        }
    }
    Ok(())
}

/// The parameters of a scenario that takes nothing beyond what every scenario hands on to the runtime.
pub(crate) fn nothing(scenario: &str, params: &Params) -> Result<Params, Refusal> {
    check(scenario, params, &[]).map(|()| params.clone())
}

/// The same parameters with a number between its bounds; `default` where the plan gives none.
pub(crate) fn number(
    scenario: &str,
    params: Params,
    name: &str,
    default: u64,
    bounds: RangeInclusive<u64>,
) -> Result<Params, Refusal> {
    let value = params.number(name).unwrap_or(default);
    if bounds.contains(&value) {
        return Ok(params.with(name, value));
    }
    let (least, most) = bounds.into_inner();
    Err(Refusal::Input(format!("{scenario}: {name} = {value} must be {least} to {most}")))
}

/// The same parameters with one of a few words; the first where the plan gives none.
pub(crate) fn word(scenario: &str, params: Params, name: &str, known: &[&str]) -> Result<Params, Refusal> {
    let value = params.text(name).or(known.first().copied()).unwrap_or_default().to_owned();
    if known.contains(&value.as_str()) {
        return Ok(params.with(name, value.as_str()));
    }
    Err(Refusal::Input(format!("{scenario}: {name} = {value:?} is none of {}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(params: &Params, with: &str) {
        match check("s", params, &[("cache", Is::Word), ("n", Is::Number)]) {
            Err(Refusal::Input(why)) => assert!(why.contains(with), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in_and_what_is_out_of_bounds_refused() {
        let filled = number("s", Params::new(), "n", 5, 1..=9).unwrap();
        let filled = word("s", filled, "how", &["idle", "light"]).unwrap();
        assert_eq!(filled.to_string(), "how=idle n=5");
        assert_eq!(number("s", Params::new().with("n", 9), "n", 5, 1..=9).unwrap().number("n"), Some(9));
        let refusals = [
            number("s", Params::new().with("n", 0), "n", 5, 1..=9),
            word("s", Params::new().with("how", "hard"), "how", &["idle", "light"]),
        ];
        for (refusal, with) in refusals.into_iter().zip(["n = 0 must be 1 to 9", "none of idle, light"]) {
            assert!(matches!(&refusal, Err(Refusal::Input(why)) if why.contains(with)), "{refusal:?}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_no_silent_default() {
        refused(
            &Params::new().with("cahce", "cold"),
            "\"cahce\" is none of cache, n, memory, pages, provision, cpu",
        );
        refused(&Params::new().with("pages", "big"), "pages = big is neither small nor huge");
        refused(&Params::new().with("cache", 1), "cache = 1 must be a word");
        refused(&Params::new().with("cpu", "sse9"), "s: cpu = \"sse9\"");
        refused(&Params::new().with("cpu", 1), "cpu = 1 must be a word");
        refused(&Params::new().with("n", "big"), "n = big must be a number");
        let fine = Params::new().with("cache", "cold").with("n", 1).with("memory", 1 << 20);
        assert_eq!(check("s", &fine, &[("cache", Is::Word), ("n", Is::Number)]), Ok(()));
        let common = Params::new().with("memory", 1 << 20);
        assert_eq!(nothing("s", &common), Ok(common));
        assert!(
            matches!(nothing("s", &fine), Err(Refusal::Input(why)) if why.contains("s: parameter \"cache\""))
        );
    }
}
