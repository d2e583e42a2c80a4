//! `isomark completions` and `isomark man`: what shells and `man` need, made from the flags themselves.
//!
//! Every verb that is not hidden has a page of its own, as `git` has: `man isomark-run`.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::Cli;
use crate::exit;

/// Writes the completion script of a shell.
#[expect(clippy::unnecessary_wraps, reason = "verbs have one shape")]
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8> {
    clap_complete::generate(shell, &mut Cli::command(), "isomark", &mut std::io::stdout());
    Ok(exit::FINE)
}

/// Writes the manual: the main page on stdout, or all pages into a directory.
pub(crate) fn man(dir: Option<&Path>) -> Result<u8> {
    let Some(dir) = dir else {
        clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?;
        return Ok(exit::FINE);
    };
    fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    for (name, page) in pages()? {
        let path = dir.join(format!("{name}.1"));
        fs::File::create(&path)
            .and_then(|mut file| file.write_all(&page))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(exit::FINE)
}

/// All pages: the command's, and one for each verb below it.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut left = vec![(command.get_name().to_owned(), command)];
    let mut all = Vec::new();
    while let Some((name, command)) = left.pop() {
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            left.push((format!("{name}-{}", verb.get_name()), verb.clone()));
        }
        let mut page = Vec::new();
        // clap makes static strings of names that it gets as such; a page's name lives as long as the program.
        clap_mangen::Man::new(command.name(name.clone().leak() as &'static str)).render(&mut page)?;
        all.push((name, page));
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_completions_know_every_verb() {
        let command = Cli::command();
        let verbs: Vec<&str> = command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        assert!(verbs.len() > 12, "{verbs:?}");
        let pages = pages().unwrap();
        let main = String::from_utf8(pages[0].1.clone()).unwrap().replace('\\', "");
        assert_eq!(pages[0].0, "isomark");
        for verb in &verbs {
            assert!(
                pages.iter().any(|(name, _)| *name == format!("isomark-{verb}")),
                "no page isomark-{verb}"
            );
            assert!(main.contains(&format!("isomark-{verb}(1)")), "isomark(1) does not name {verb}\n{main}");
        }
        assert!(pages.iter().any(|(name, _)| name == "isomark-baseline-save"));
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "isomark", &mut script);
            let script = String::from_utf8(script).unwrap();
            for verb in &verbs {
                assert!(script.contains(verb), "{shell}: {verb}");
            }
        }
    }
}
