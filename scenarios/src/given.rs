//! Which parameters a plan may give: a slip of the pen in a name or a type is refused, and never a silent default.

use isomark_core::{Params, Refusal, Value};

/// What a parameter must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    /// A word.
    Word,
    /// A number.
    Number,
}

/// What every scenario hands on to the runtime.
const COMMON: [(&str, Is); 3] = [("memory", Is::Number), ("pages", Is::Word), ("provision", Is::Word)];

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
        if !fits {
            let must = if *is == Is::Word { "word" } else { "number" };
            return Err(Refusal::Input(format!("{scenario}: {name} = {value} must be a {must}")));
        }
    }
    Ok(())
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
    fn a_slip_of_the_pen_is_no_silent_default() {
        refused(
            &Params::new().with("cahce", "cold"),
            "\"cahce\" is none of cache, n, memory, pages, provision",
        );
        refused(&Params::new().with("cache", 1), "cache = 1 must be a word");
        refused(&Params::new().with("n", "big"), "n = big must be a number");
        let fine = Params::new().with("cache", "cold").with("n", 1).with("memory", 1 << 20);
        assert_eq!(check("s", &fine, &[("cache", Is::Word), ("n", Is::Number)]), Ok(()));
    }
}
