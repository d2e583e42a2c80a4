//! The flags of the verbs that look across runs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{FailOn, Format, Look};

/// How two runs are held against each other.
#[derive(Debug, Args)]
pub(crate) struct Compared {
    /// Limits in TOML (times and rates 3 %, sizes 5 % and 64 KiB by default)
    #[arg(long, env = "ISOMARK_THRESHOLDS", value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// Let every metric decide, not the headline of each scenario and what the thresholds name
    #[arg(long, env = "ISOMARK_EVERY_METRIC")]
    pub every_metric: bool,
    /// Compare runs of unlike hosts all the same
    #[arg(long, env = "ISOMARK_ALLOW_CROSS_HOST")]
    pub allow_cross_host: bool,
    /// Runs of a baseline that count: its last N
    #[arg(long, env = "ISOMARK_LAST", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub last: u32,
    /// Results folder with the baselines
    #[arg(long, env = "ISOMARK_DIR", value_name = "DIR", default_value = "bench-results")]
    pub dir: PathBuf,
    /// How the result is printed
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// Print what did not change too
    #[arg(long, env = "ISOMARK_ALL")]
    pub all: bool,
    /// Write a JUnit report: regression = failure, failed = error, undecided = skipped
    #[arg(long, env = "ISOMARK_JUNIT", value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a comment in Markdown, below 60 kB, with a marker to find it again
    #[arg(long, env = "ISOMARK_COMMENT", value_name = "FILE")]
    pub comment: Option<PathBuf>,
    /// What the marker of the comment and the JUnit report call this gate
    #[arg(long, env = "ISOMARK_NAME", value_name = "NAME", default_value = "check")]
    pub name: String,
}

/// `isomark check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark check bench-results/latest --baseline main\n  isomark check new --baseline old --fail-on inconclusive --junit gate.xml\n\nTimes and rates are compared as ratios to the plain process of the same run, sizes as they are.\nExit codes: 0 no regression, 3 regression or a cell that fails now, 4 nothing was compared,\n5 inconclusive (with --fail-on inconclusive), 6 the hosts or payloads are unlike"
)]
pub(crate) struct Check {
    /// Run to check
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Baseline: a run's folder, or a name from `isomark baseline list`
    #[arg(long, env = "ISOMARK_BASELINE", value_name = "RUN|NAME")]
    pub baseline: String,
    /// What fails the check besides a regression
    #[arg(long, env = "ISOMARK_FAIL_ON", value_enum, value_delimiter = ',', default_value = "regression")]
    pub fail_on: Vec<FailOn>,
    /// How
    #[command(flatten)]
    pub how: Compared,
}

/// `isomark compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark compare old new\n  isomark compare main bench-results/latest --format json\n\nShows what `check` would judge, and ends with 0 whatever it finds."
)]
pub(crate) struct Compare {
    /// Run or baseline to compare with
    #[arg(value_name = "BASE")]
    pub base: String,
    /// Run in question
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// How
    #[command(flatten)]
    pub how: Compared,
}

/// `isomark baseline`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark baseline save main bench-results/latest\n  isomark baseline list\n  isomark baseline rm main\n\nA baseline is a set of runs of one host and payload; only `save` adds to it."
)]
pub(crate) struct Baseline {
    /// What to do
    #[command(subcommand)]
    pub verb: BaselineVerb,
    /// Results folder with the baselines
    #[arg(long, env = "ISOMARK_DIR", value_name = "DIR", default_value = "bench-results", global = true)]
    pub dir: PathBuf,
}

/// What to do with baselines.
#[derive(Debug, Subcommand)]
pub(crate) enum BaselineVerb {
    /// Add runs to a baseline
    Save {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Run folders
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
    },
    /// Show all baselines
    List {
        /// How the result is printed
        #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
        format: Format,
    },
    /// Take a baseline away
    Rm {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `isomark merge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark merge morning noon evening --out day\n\nThe runs must have the same plan, payload and host; merged.json keeps which blocks came from where."
)]
pub(crate) struct Merge {
    /// Run folders
    #[arg(required = true, num_args = 1.., value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Folder of the merged run
    #[arg(long, env = "ISOMARK_OUT", value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub look: Look,
}

/// Formats of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One row per metric of each cell.
    Csv,
    /// The summary as summary.json has it.
    Json,
    /// One case per cell: failed = error, unavailable = skipped.
    Junit,
    /// OpenMetrics 1.0 text.
    Openmetrics,
    /// Bencher Metric Format.
    Bmf,
    /// Custom JSON of github-action-benchmark.
    GithubBenchmark,
}

/// The one direction that a file of github-action-benchmark has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// Times and sizes, for customSmallerIsBetter.
    #[default]
    Smaller,
    /// Rates, for customBiggerIsBetter.
    Bigger,
}

/// `isomark export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark export bench-results/latest --format csv\n  isomark export bench-results/latest --format openmetrics --out /var/lib/node_exporter/isomark.prom\n  isomark export bench-results/latest --format github-benchmark --direction bigger"
)]
pub(crate) struct Export {
    /// Run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Format
    #[arg(long, env = "ISOMARK_EXPORT_FORMAT", value_enum)]
    pub format: ExportFormat,
    /// Which metrics a github-benchmark file has
    #[arg(long, env = "ISOMARK_DIRECTION", value_enum, default_value_t)]
    pub direction: Direction,
    /// File to write, whole or not at all (stdout by default)
    #[arg(long, env = "ISOMARK_OUT", value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `isomark history`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark history\n  isomark history bench-results --runtime microvm --scenario startup --last 50\n  isomark history --html history.html\n\nTimes and rates are shown as ratios to the plain process of the same run, sizes as they are.\nThe index history.sqlite in the folder may be taken away at any time."
)]
pub(crate) struct History {
    /// Folder with the runs
    #[arg(value_name = "DIR", env = "ISOMARK_DIR", default_value = "bench-results")]
    pub dir: PathBuf,
    /// Only these runtimes
    #[arg(long, env = "ISOMARK_RUNTIME", value_delimiter = ',', value_name = "A,B")]
    pub runtime: Vec<String>,
    /// Only these scenarios
    #[arg(long, env = "ISOMARK_SCENARIO", value_delimiter = ',', value_name = "X,Y")]
    pub scenario: Vec<String>,
    /// These metrics (the headline of each cell by default)
    #[arg(long, env = "ISOMARK_METRIC", value_delimiter = ',', value_name = "M,N")]
    pub metric: Vec<String>,
    /// Runs of each host that count: the last N
    #[arg(long, env = "ISOMARK_LAST", value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub last: u32,
    /// The values themselves instead of ratios to the plain process
    #[arg(long, env = "ISOMARK_ABSOLUTE")]
    pub absolute: bool,
    /// Write a page with trend charts, and the charts as PNG in a folder beside it
    #[arg(long, env = "ISOMARK_HTML", value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[command(flatten)]
    pub look: Look,
    /// How the result is printed
    #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
    pub format: Format,
}
