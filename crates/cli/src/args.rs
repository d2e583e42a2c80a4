//! The flags. Every one has an environment variable `ISOMARK_…`; every verb has examples.

mod fleet;
mod gate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use isomark_core::partition::Partition;
use isomark_report::Options;

pub(crate) use fleet::{Engine, Fleet, FleetVerb};
pub(crate) use gate::{
    Baseline, BaselineVerb, Check, Compare, Compared, Direction, Export, ExportFormat, History, Merge,
};

/// Weighs isolation: one program as a process, in containers and in virtual machines, on one clock.
#[derive(Debug, Parser)]
#[command(name = "isomark", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Start here:\n  isomark doctor        what can be measured on this host, and how to get the rest\n  isomark run           startup, memory, disk and throughput of every runtime, with a report\n\nExit codes: 0 fine, 1 internal error, 2 usage or bad input, 3 regression,\n4 nothing selected or compared, 5 inconclusive (if asked with --fail-on),\n6 required runtime unavailable or host unfit, 7 a payload answered wrongly, 129/130/143 interrupted"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Measure: run a plan, leave a run folder with a report
    Run(Box<Run>),
    /// Compare two variants of a runtime, paired in one run; exit code 3 if b is worse
    Ab(Box<Ab>),
    /// Carry out single trials for another isomark
    #[command(hide = true)]
    Trials(Trials),
    /// Run a static program once in a runtime, with its streams and exit status passed through
    Exec(Exec),
    /// Show runtimes, scenarios and plans
    List(List),
    /// Say what can be measured on this host, and how to get the rest
    Doctor(Doctor),
    /// Render the report of a run again
    Report(Report),
    /// Compare a run with one or several before it
    Compare(Compare),
    /// Compare a run with a baseline, and fail if something got worse
    Check(Check),
    /// Save, list or take away baselines
    Baseline(Baseline),
    /// Show how results developed over the runs of a folder
    History(History),
    /// Make one longer run of several of the same plan
    Merge(Merge),
    /// Write a run's answers in another program's format
    Export(Export),
    /// Measure on many hosts: write what an engine is given, collect what came back
    Fleet(Fleet),
    /// Take away what dead commands left on this host
    Clean(Clean),
    /// Print a completion script for a shell
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for every verb
    Man {
        /// Directory for isomark.1, isomark-run.1 and so on
        #[arg(long, env = "ISOMARK_MAN_DIR", value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Wait for the end of the command that started this, and settle its site
    #[command(hide = true)]
    Guard {
        /// Site
        site: PathBuf,
    },
    /// Write the parts of this build that scripts/make-guest puts into a guest
    #[command(hide = true)]
    GuestParts {
        /// Directory
        dir: PathBuf,
    },
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// What runtimes may be told: what guests with a kernel of their own boot, and stanzas of the user's own.
#[derive(Debug, Default, Args)]
pub(crate) struct Guest {
    /// Kernel that guests boot: a bzImage or an ELF vmlinux (found below the state directory by default)
    #[arg(long, env = "ISOMARK_KERNEL", value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Folder of your own stanzas of runtimes
    #[arg(long, env = "ISOMARK_CATALOGUE", value_name = "DIR")]
    pub catalogue: Option<PathBuf>,
}

/// What pages look like.
#[derive(Debug, Default, Args)]
pub(crate) struct Look {
    /// Folder whose files replace the templates of the same name
    #[arg(long, env = "ISOMARK_TEMPLATES", value_name = "DIR")]
    pub templates: Option<PathBuf>,
    /// Language of pages and summaries: en, zh, or one that --templates DIR adds as DIR/lang/NAME.toml
    #[arg(long, env = "ISOMARK_LANG", value_name = "NAME")]
    pub lang: Option<String>,
}

impl Look {
    /// The same for who renders.
    pub(crate) fn options(&self) -> Options {
        Options { templates: self.templates.clone(), language: self.lang.clone() }
    }
}

/// `isomark run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark run                                        the quick plan on every runtime\n  isomark run --runtime process,microvm --scenario startup --runs 100\n  isomark run --runtime all --scenario startup       every runtime that is installed\n  isomark run --runtime 'process,docker{network=bridge}'\n  isomark run --program '/bin/busybox true'          your own static program in every runtime\n  isomark run --resume bench-results/latest          go on with a run that was cut short"
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub guest: Guest,
    /// Plan: a name from `isomark list`, or a TOML file
    #[arg(long, env = "ISOMARK_PLAN", value_name = "NAME|FILE")]
    pub plan: Option<String>,
    /// Only these runtimes: SPECs as NAME[@BINARY][{key=value,...}], or "all" that are installed (the built-in ones by default)
    #[arg(long, env = "ISOMARK_RUNTIME", value_name = "A,B")]
    pub runtime: Vec<String>,
    /// Only these scenarios; without --plan also those that the quick plan does not ask
    #[arg(long, env = "ISOMARK_SCENARIO", value_delimiter = ',', value_name = "X,Y")]
    pub scenario: Vec<String>,
    /// Blocks: trials of each cell (the plan's number by default)
    #[arg(long, env = "ISOMARK_RUNS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub runs: Option<u32>,
    /// Seed of the order of trials (drawn and stored by default)
    #[arg(long, env = "ISOMARK_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Be done after this time, e.g. 90s, 10m: cells get fewer trials where there is not time for all
    #[arg(long, env = "ISOMARK_TIME_BUDGET", value_name = "T", value_parser = duration)]
    pub time_budget: Option<Duration>,
    /// End cells whose 95 % interval is this narrow: auto, or half a width such as 2%; never by what it shows
    #[arg(long, env = "ISOMARK_PRECISION", value_name = "auto|P")]
    pub precision: Option<String>,
    /// Folder of the run (below bench-results/ by default)
    #[arg(long, env = "ISOMARK_OUT", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a run that was cut short; programs that it names (--payload, --program, NAME@BINARY) are named again
    #[arg(long, env = "ISOMARK_RESUME", value_name = "DIR", conflicts_with_all = ["plan", "scenario", "runs", "seed", "out", "precision"])]
    pub resume: Option<PathBuf>,
    /// Fail with exit code 6 if one of these runtimes is unavailable
    #[arg(long, env = "ISOMARK_REQUIRE", value_delimiter = ',', value_name = "A,B")]
    pub require: Vec<String>,
    /// Measure your own static program from start to exit in every runtime
    #[arg(long, env = "ISOMARK_PROGRAM", value_name = "CMD ARGS")]
    pub program: Option<String>,
    /// Another payload ELF that speaks the wire (the built-in one by default)
    #[arg(long, env = "ISOMARK_PAYLOAD", value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// Bound on every wait for an instance
    #[arg(long, env = "ISOMARK_DEADLINE", value_name = "T", value_parser = duration, default_value = "60s")]
    pub deadline: Duration,
    /// Carry out only part I of N of the blocks; `isomark merge` makes one run of all parts
    #[arg(long, env = "ISOMARK_PARTITION", value_name = "I/N", conflicts_with_all = ["resume", "precision"])]
    pub partition: Option<Partition>,
    /// Something to store in run.json beside the results
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable, conflicts_with = "resume")]
    pub label: Vec<(String, String)>,
    /// Fail with exit code 6 if this isomark has another SHA-256
    #[arg(long, env = "ISOMARK_BINARY", value_name = "SHA256", value_parser = sha256, conflicts_with = "resume")]
    pub binary: Option<String>,
    #[command(flatten)]
    pub look: Look,
    /// How the result is printed
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// Measure although another isomark does on this machine (both then measure each other, and the report says so)
    #[arg(long, env = "ISOMARK_NO_LOCK")]
    pub no_lock: bool,
    /// No progress bar and no notes
    #[arg(long, short, env = "ISOMARK_QUIET")]
    pub quiet: bool,
}

/// `isomark ab`.
#[derive(Debug, Args)]
#[command(
    after_help = "A SPEC is NAME[@BINARY][{key=value,...}]: a runtime, another binary of it (for a built-in runtime: another\nisomark), parameters of the scenario or of the runtime, or payload=FILE.\n\nExamples:\n  isomark ab --a process@./isomark-main --b process            two builds of isomark\n  isomark ab --a 'microvm{memory=32M}' --b 'microvm{memory=256M}'\n  isomark ab --a process --b 'process{payload=./new}' --scenario throughput --param kernel=dgemm\n\nExit codes: 0 b is not worse, 3 b is worse beyond the threshold, 5 inconclusive (with --fail-on inconclusive)"
)]
pub(crate) struct Ab {
    /// First variant: the one that stands
    #[arg(long, env = "ISOMARK_A", value_name = "SPEC")]
    pub a: String,
    /// Second variant: the one that is judged
    #[arg(long, env = "ISOMARK_B", value_name = "SPEC")]
    pub b: String,
    /// Scenarios
    #[arg(
        long,
        env = "ISOMARK_SCENARIO",
        value_delimiter = ',',
        value_name = "X,Y",
        default_value = "startup"
    )]
    pub scenario: Vec<String>,
    /// A parameter of the scenarios, such as kernel=dgemm
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub param: Vec<(String, String)>,
    /// Metrics that are judged (the headline of each scenario by default)
    #[arg(long, env = "ISOMARK_METRIC", value_delimiter = ',', value_name = "M,N")]
    pub metric: Vec<String>,
    /// Exactly so many blocks (by default as many as the precision needs)
    #[arg(long, env = "ISOMARK_RUNS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub runs: Option<u32>,
    /// End when the 95 % interval is this narrow (a third of the threshold by default)
    #[arg(long, env = "ISOMARK_PRECISION", value_name = "P", conflicts_with = "runs")]
    pub precision: Option<String>,
    /// Be done after this time
    #[arg(long, env = "ISOMARK_TIME_BUDGET", value_name = "T", value_parser = duration)]
    pub time_budget: Option<Duration>,
    /// How much worse is too much: TOML file
    #[arg(long, env = "ISOMARK_THRESHOLDS", value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// What ends with its own exit code: regression (3), inconclusive (5)
    #[arg(long, env = "ISOMARK_FAIL_ON", value_delimiter = ',', value_enum, default_value = "regression")]
    pub fail_on: Vec<FailOn>,
    /// Seed of the order of trials (drawn and stored by default)
    #[arg(long, env = "ISOMARK_SEED", value_name = "N")]
    pub seed: Option<u64>,
    /// Folder of the run (below bench-results/ by default)
    #[arg(long, env = "ISOMARK_OUT", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder with stanzas of your own for external runtimes
    #[arg(long, env = "ISOMARK_CATALOGUE", value_name = "DIR")]
    pub catalogue: Option<PathBuf>,
    /// Write a JUnit report: regression = failure, undecided = skipped
    #[arg(long, env = "ISOMARK_JUNIT", value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a comment in Markdown, below 60 kB, with a marker to find it again
    #[arg(long, env = "ISOMARK_COMMENT", value_name = "FILE")]
    pub comment: Option<PathBuf>,
    /// What the marker of the comment and the JUnit report call this gate
    #[arg(long, env = "ISOMARK_NAME", value_name = "NAME", default_value = "ab")]
    pub name: String,
    #[command(flatten)]
    pub look: Look,
    /// Bound on every wait for an instance
    #[arg(long, env = "ISOMARK_DEADLINE", value_name = "T", value_parser = duration, default_value = "60s")]
    pub deadline: Duration,
    /// How the result is printed: json is one object a metric and line
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// Measure although another isomark does on this machine (both then measure each other, and the report says so)
    #[arg(long, env = "ISOMARK_NO_LOCK")]
    pub no_lock: bool,
    /// No progress bar and no notes
    #[arg(long, short, env = "ISOMARK_QUIET")]
    pub quiet: bool,
}

/// What a gate fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Worse beyond the threshold: exit code 3.
    Regression,
    /// Nothing can be said: exit code 5.
    Inconclusive,
}

/// `isomark trials`.
#[derive(Debug, Args)]
pub(crate) struct Trials {
    /// Runtime
    #[arg(long, value_name = "R")]
    pub runtime: String,
    /// Another payload ELF
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// Folder with stanzas of your own for external runtimes
    #[arg(long, value_name = "DIR")]
    pub catalogue: Option<PathBuf>,
    /// Bound on every wait for an instance
    #[arg(long, value_name = "T", value_parser = duration, default_value = "60s")]
    pub deadline: Duration,
}

/// `isomark exec`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark exec --runtime microvm -- /bin/busybox echo hello\n  isomark exec --runtime namespace --memory 64M -- ./server --once\n\nThe exit status is the program's own, or 128 + the signal that ended it."
)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub guest: Guest,
    /// Runtime: a SPEC as NAME[@BINARY][{key=value,...}]
    #[arg(long, env = "ISOMARK_RUNTIME", value_name = "R")]
    pub runtime: String,
    /// Memory limit of a container, RAM of a virtual machine
    #[arg(long, env = "ISOMARK_MEMORY", value_name = "SIZE", value_parser = size, default_value = "512M")]
    pub memory: u64,
    /// Environment variable of the program (it gets PATH, HOME, TERM and LANG only)
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// End the program after this time
    #[arg(long, env = "ISOMARK_DEADLINE", value_name = "T", value_parser = duration)]
    pub deadline: Option<Duration>,
    /// Static program, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM ARGS")]
    pub command: Vec<String>,
}

/// `isomark list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isomark list\n  isomark list --format json")]
pub(crate) struct List {
    #[command(flatten)]
    pub guest: Guest,
    /// How the result is printed
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
}

/// `isomark doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark doctor\n  isomark doctor --require microvm     exit code 6 if it is unavailable"
)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub guest: Guest,
    /// How the result is printed
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// Start each of isomark's own runtimes and print what it leaves its payload: capabilities, devices, system calls
    #[arg(long, env = "ISOMARK_SURFACE")]
    pub surface: bool,
    /// Fail with exit code 6 if one of these runtimes is unavailable
    #[arg(long, env = "ISOMARK_REQUIRE", value_delimiter = ',', value_name = "A,B")]
    pub require: Vec<String>,
}

/// `isomark report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark report bench-results/latest\n  isomark report --templates my-look bench-results/2026-*"
)]
pub(crate) struct Report {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    #[command(flatten)]
    pub look: Look,
    /// How the result is printed
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
}

/// `isomark clean`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isomark clean --dry-run")]
pub(crate) struct Clean {
    /// Only tell what would be taken away
    #[arg(long, env = "ISOMARK_DRY_RUN")]
    pub dry_run: bool,
}

/// "90s", "10m", "500ms", "2h".
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("unit {other:?} is none of ms, s, m, h")),
    };
    let seconds =
        number.parse::<f64>().map_err(|_| format!("{number:?} is not a number; write 90s or 10m"))? * scale;
    Some(seconds)
        .filter(|s| (0.001..=1e6).contains(s))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{text:?} is not between 1 ms and a million seconds"))
}

/// "64M", "1G", "134217728": bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B').to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        other => return Err(format!("unit {other:?} is none of K, M, G")),
    };
    let number =
        number.parse::<u64>().map_err(|_| format!("{number:?} is not a whole number; write 64M or 1G"))?;
    number.checked_mul(1 << shift).filter(|n| *n > 0).ok_or_else(|| format!("{text:?} is out of range"))
}

fn sha256(text: &str) -> Result<String, String> {
    let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex { Ok(text.to_owned()) } else { Err(format!("{text:?} is not 64 hex digits; see sha256sum")) }
}

fn split(text: &str) -> (&str, &str) {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(at)
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("fast").is_err() && duration("1y").is_err() && duration("0").is_err());
        assert_eq!((size("64M"), size("1GiB"), size("4096")), (Ok(64 << 20), Ok(1 << 30), Ok(4096)));
        assert!(size("0").is_err() && size("1.5G").is_err() && size("99999999999G").is_err());
    }
}
