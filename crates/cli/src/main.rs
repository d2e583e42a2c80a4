//! `isomark`: the command line. Only this crate prints and exits.
//!
//! Results go to stdout, everything else to stderr; the exit code says what happened (see [`exit`]).

/// As the standard library's, which panics where stderr cannot be written to: a log on a full disk must not end a run.
macro_rules! eprintln {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

#[allow(rustdoc::broken_intra_doc_links, reason = "the texts of flags are help for a terminal, not links")]
mod args;
mod chosen;
mod ci;
mod elsewhere;
mod exit;
mod fault;
mod lock;
mod measure;
mod own;
mod place;
mod progress;
mod spec;
mod verb;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use isomark_core::Shortage;

use args::{Cli, Verb};

fn main() -> ExitCode {
    fault::watch();
    // Past a limit on the size of files (setrlimit(2)) a write is to fail, and not to end this process.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let cli = Cli::parse();
    let done = fault::guarded(std::panic::AssertUnwindSafe(|| carry_out(&cli.verb)));
    let done = done.unwrap_or_else(|fault| Err(fault.into()));
    match done.and_then(|code| fault::unseen().map_or(Ok(code), |fault| Err(fault.into()))) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            // A reader that has gone (`isomark list | head`) is no failure of ours.
            if exit::is_broken_pipe(&e) {
                return ExitCode::SUCCESS;
            }
            // A message may quote what somebody else wrote: nothing of it may move the cursor.
            eprintln!("isomark: {}", isomark_report::fmt::clean_lines(&with_remedy(&e)));
            ExitCode::from(exit::code(&e))
        }
    }
}

/// The failure in one line; what can be done about a host that is short of something is said wherever it was met.
fn with_remedy(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    match Shortage::in_words(&text)
        .filter(|_| exit::code(error) == exit::INTERNAL && !text.contains("remedy: "))
    {
        Some(shortage) => format!("{text}; remedy: {}", shortage.remedy()),
        None => text,
    }
}

fn carry_out(verb: &Verb) -> anyhow::Result<u8> {
    match verb {
        Verb::Run(args) => verb::run::run(args),
        Verb::Ab(args) => verb::ab::ab(args),
        Verb::Trials(args) => verb::trials::trials(args),
        Verb::Exec(args) => verb::exec::exec(args),
        Verb::List(args) => verb::list::list(args),
        Verb::Doctor(args) => verb::doctor::doctor(args),
        Verb::Report(args) => verb::report::report(args),
        Verb::Compare(args) => verb::check::compare_runs(args),
        Verb::Check(args) => verb::check::check(args),
        Verb::Baseline(args) => verb::baseline::baseline(args),
        Verb::History(args) => verb::history::show(args),
        Verb::Merge(args) => verb::merge::merge(args),
        Verb::Export(args) => verb::export::export(args),
        Verb::Fleet(args) => verb::fleet::fleet(args),
        Verb::Clean(args) => verb::clean::clean(args),
        Verb::Completions { shell } => verb::shell::completions(*shell),
        Verb::Man { dir } => verb::shell::man(dir.as_deref()),
        Verb::Guard { site } => place::stand_guard(site),
        Verb::GuestParts { dir } => {
            isomark_runtimes::write_guest_parts(dir).map(|()| exit::FINE).map_err(Into::into)
        }
    }
}
