//! What somebody needs who wants to measure the same again.

use isomark_core::record::Run;

use crate::fmt;
use crate::words::say;

pub(super) fn facts(run: &Run) -> Vec<(String, String)> {
    let mut all = vec![
        ("isomark".to_owned(), run.isomark.clone()),
        (say("reproduce.seed"), run.seed.to_string()),
        (say("reproduce.payload_sha256"), run.payload.sha256.clone()),
        (
            say("reproduce.payload"),
            format!("{}, {}", run.payload.target, fmt::quantity("byte", run.payload.bytes as f64, None)),
        ),
    ];
    if let Some(program) = &run.program {
        all.push((
            say("reproduce.program"),
            command(&[std::slice::from_ref(&program.path), &program.args].concat()),
        ));
        all.push((say("reproduce.program_sha256"), program.sha256.clone()));
    }
    all.into_iter().map(|(name, value)| (name, fmt::clean(&value))).collect()
}

/// The command that measures the same again: the seed is named even where it was drawn.
pub(super) fn again(run: &Run) -> String {
    let mut argv = run.argv.clone();
    if let Some(name) = argv.first_mut() {
        "isomark".clone_into(name);
    }
    let measures = argv.get(1).is_some_and(|verb| verb == "run");
    if measures && !argv.iter().any(|word| word == "--seed" || word.starts_with("--seed=")) {
        argv.extend(["--seed".to_owned(), run.seed.to_string()]);
    }
    command(&argv)
}

/// A command line that a shell would read as these words.
fn command(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    let quoted = argv.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    fmt::clean(&quoted.collect::<Vec<_>>().join(" "))
}
