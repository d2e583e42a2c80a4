//! `isomark`: the command line. Only this crate prints and exits.
//!
//! Results go to stdout, everything else to stderr; the exit code says what happened (see [`exit`]).

#[allow(rustdoc::broken_intra_doc_links, reason = "the texts of flags are help for a terminal, not links")]
mod args;
mod chosen;
mod ci;
mod elsewhere;
mod exit;
mod lock;
mod measure;
mod place;
mod progress;
mod spec;
mod verb;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Verb};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.verb {
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
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            // A reader that has gone (`isomark list | head`) is no failure of ours.
            if exit::is_broken_pipe(&e) {
                return ExitCode::SUCCESS;
            }
            // A message may quote what somebody else wrote: nothing of it may move the cursor.
            eprintln!("isomark: {}", isomark_report::fmt::clean_lines(&format!("{e:#}")));
            ExitCode::from(exit::code(&e))
        }
    }
}
