//! `isomark completions` and `isomark man`.

use anyhow::Result;
use clap::CommandFactory;

use crate::args::Cli;
use crate::exit;

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8> {
    clap_complete::generate(shell, &mut Cli::command(), "isomark", &mut std::io::stdout());
    Ok(exit::FINE)
}

/// Prints the manual page, verbs included.
pub(crate) fn man() -> Result<u8> {
    let mut out = std::io::stdout().lock();
    clap_mangen::Man::new(Cli::command()).render(&mut out)?;
    for verb in Cli::command().get_subcommands() {
        clap_mangen::Man::new(verb.clone()).render(&mut out)?;
    }
    Ok(exit::FINE)
}
