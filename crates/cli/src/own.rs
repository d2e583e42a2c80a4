//! Which programs of its own does a stored run name, and has the user named them too?
//!
//! A run folder may come from anywhere, and going on with it starts what it names, as root where isomark is root. What isomark
//! brings along and what a stanza finds on the host may be started on the folder's word; a payload, a program or another
//! binary of a runtime only on the user's.

use std::path::Path;

use isomark_core::record::Run;
use isomark_core::{Error, Variant};

use crate::args;
use crate::verb::run::words;

/// The flags by which a user names what only the run has named, with their values.
fn flags(run: &Run) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    all.extend(run.payload.path.clone().map(|path| ("--payload", path)));
    let command = |program: &isomark_core::record::ProgramRecord| {
        let words = std::iter::once(&program.path).chain(&program.args).map(|word| quoted(word));
        words.collect::<Vec<_>>().join(" ")
    };
    all.extend(run.program.as_ref().map(|program| ("--program", command(program))));
    all.extend(binaries(run).map(|spec| ("--runtime", spec.to_owned())));
    all
}

/// Runtimes of which the run names the binary.
fn binaries(run: &Run) -> impl Iterator<Item = &str> {
    run.runtimes.iter().map(|record| &*record.name).filter(|name| name.contains('@'))
}

/// The command that goes on with a run.
pub(crate) fn again(dir: &Path, run: &Run) -> String {
    let mut text = format!("isomark run --resume {}", dir.display());
    for (flag, value) in flags(run) {
        text.push_str(&format!(" {flag} {}", quoted(&value)));
    }
    text
}

/// Refuses to start what the folder names and the command line does not.
///
/// # Errors
/// [`Error::Input`] with the command line that would be enough, or naming the flag that says something else.
pub(crate) fn named(args: &args::Run, dir: &Path, run: &Run) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::Input(format!("{} cannot be resumed: {why}", dir.display())));
    let other =
        |flag: &str| refuse(format!("{flag} names something else than the run; it was: {}", again(dir, run)));
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match (&args.payload, &run.payload.path) {
        (Some(given), stored) if stored.as_deref().map(Path::new) != Some(&real(given)) => {
            return other("--payload");
        }
        _ => {}
    }
    let stored =
        run.program.as_ref().map(|program| [std::slice::from_ref(&program.path), &program.args].concat());
    match &args.program {
        Some(given) if words(given) != stored => return other("--program"),
        _ => {}
    }
    let given = Variant::list(&args.runtime.join(","))?;
    let given: Vec<String> = given.iter().map(ToString::to_string).collect();
    if given.iter().any(|spec| run.runtimes.iter().all(|record| record.name != *spec)) {
        return other("--runtime");
    }
    let all = (args.payload.is_some() || run.payload.path.is_none())
        && (args.program.is_some() || run.program.is_none())
        && binaries(run).all(|spec| given.iter().any(|given| given == spec));
    if all {
        return Ok(());
    }
    refuse(format!(
        "it names programs of its own, and a folder may come from anywhere; if they are yours, name them too: {}",
        again(dir, run)
    ))
}

/// One word of a shell, and of `--program`, which knows quotes and nothing else.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use isomark_core::record::{PayloadRecord, ProgramRecord, RuntimeRecord};

    use super::*;

    fn run() -> Run {
        let record = |name: &str| RuntimeRecord {
            name: name.into(),
            kind: isomark_core::Kind::Container,
            identity: None,
            unavailable: None,
        };
        let program = ProgramRecord {
            path: "./it".into(),
            sha256: String::new(),
            args: vec!["a b".into(), "c'd\"e".into()],
        };
        Run {
            runtimes: vec![record("process"), record("crun@./evil{network=own}")],
            payload: PayloadRecord { path: Some("/no/such".into()), ..PayloadRecord::default() },
            program: Some(program),
            ..Run::new("mine", Vec::new())
        }
    }

    fn asked(more: &[&str], run: &Run) -> Result<(), String> {
        let line = [&["isomark", "run", "--resume", "r"][..], more].concat();
        let args::Verb::Run(args) = args::Cli::try_parse_from(line).map_err(|e| e.to_string())?.verb else {
            return Err("no run".into());
        };
        named(&args, Path::new("r"), run).map_err(|e| e.chain())
    }

    #[test]
    fn what_only_a_folder_names_is_not_started() {
        let (run, plain) = (run(), Run::new("mine", Vec::new()));
        assert_eq!(asked(&[], &plain), Ok(()));
        let told = asked(&[], &run).unwrap_err();
        let command = again(Path::new("r"), &run);
        assert!(told.ends_with(&command), "{told}");
        // What is told is enough, as a shell reads it.
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("isomark() {{ shift 3; printf '%s\\n' \"$@\"; }}; {command}")])
            .output()
            .unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = words.lines().collect();
        assert_eq!(asked(&words, &run), Ok(()));
        for at in (0..words.len()).step_by(2) {
            let mut less = words.clone();
            less.drain(at..at + 2);
            assert!(asked(&less, &run).unwrap_err().contains("name them too"), "{less:?}");
            let mut other = words.clone();
            other[at + 1] = "crun";
            assert!(asked(&other, &run).unwrap_err().contains(words[at]), "{other:?}");
        }
        assert!(asked(&["--payload", "/x"], &plain).unwrap_err().contains("--payload names something else"));
    }
}
