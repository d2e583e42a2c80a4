//! Samples to answers: dataset, statistics, summary, report.
//!
//! A pipeline of pure functions: samples → [`dataset::Dataset`] → [`summary::Summary`] → files. Only [`render`]
//! touches a disk, and only through [`Folder::replace`] and [`Folder::take_away`]. This crate cannot start anything and never prints.
//!
//! ```
//! use isomark_core::Metric;
//! use isomark_core::record::{Cell, Outcome, Run, Sample};
//! use isomark_report::stats::verdict::Verdict;
//! use isomark_report::{Dataset, summarise::summarise};
//!
//! let cell = |runtime| Cell::new(runtime, "startup", vec![Metric::time("startup")]);
//! let run = Run::new("demo", vec![cell("process"), cell("mine")]);
//! // 24 blocks, some slower than others; in each of them the second takes twice as long as the first.
//! let trial = |at, block, ns| Sample::new(at, block, Outcome::of([("startup", ns)]));
//! let block = |block: u32, ns: f64| [trial(0, block, ns), trial(1, block, 2.0 * ns)];
//! let samples: Vec<Sample> = (0..24).flat_map(|at| block(at, 8e4 + f64::from(at % 5) * 1e3)).collect();
//!
//! let summary = summarise(&Dataset::new(&run, &samples, Vec::new())?);
//! let versus = summary.cells[1].metrics[0].versus.as_ref().unwrap();
//! assert_eq!((versus.ratio, versus.ci95), (Some(2.0), Some([2.0, 2.0])));
//! assert_eq!((versus.verdict, versus.n), (Verdict::Slower, 24));
//! # Ok::<(), isomark_core::Error>(())
//! ```
//!
//! [`render`] does all of it for a stored run; `examples/enough.rs` asks one something that isomark does not.

#![forbid(unsafe_code)]

pub mod ab;
pub mod answers;
pub mod charts;
pub mod claims;
mod companions;
pub mod controls;
pub mod dataset;
pub mod export;
pub mod fairness;
pub mod fleet;
pub mod fmt;
pub mod gate;
pub mod headline;
pub mod history;
pub mod html;
pub mod markdown;
pub mod merge;
pub mod noise;
pub mod policy;
pub mod precision;
pub mod ranges;
pub mod reference;
pub mod region;
mod retold;
pub mod samples_csv;
pub mod scoreboard;
pub mod stats;
pub mod summarise;
pub mod summary;
pub mod tables;
pub mod text;
pub mod view;
pub mod warnings;
pub mod words;

use std::path::PathBuf;

use isomark_core::Error;
use isomark_core::record::Run;
use isomark_core::store::{Folder, pretty};

pub use dataset::Dataset;
pub use summary::Summary;

/// How a report is rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A folder whose files replace the built-in templates of the same name.
    pub templates: Option<PathBuf>,
    /// Language of page and Markdown, such as `zh`; English if none is named.
    pub language: Option<String>,
}

impl Options {
    /// Refuses what no report can be rendered with, before anything is measured for one.
    ///
    /// # Errors
    /// [`Error::Input`] naming the folder, the language, or file and line of what cannot be read.
    pub fn check(&self) -> Result<(), Error> {
        let language = self.language.as_deref().unwrap_or(words::ENGLISH);
        words::Words::load(language, self.templates.as_deref())?;
        html::check(self.templates.as_deref())
    }
}

/// Reads what a run measured and writes everything that follows from it into the run's folder.
///
/// Writes `charts/*.png`, `report.html`, `samples.csv`, `summary.md` and, last, `summary.json`, and takes away pictures
/// that an earlier rendering drew and this one does not. A run cut short gives the answers of a shorter run.
///
/// ```no_run
/// use isomark_core::store::Folder;
/// use isomark_report::{Options, render, text};
///
/// let (folder, run) = Folder::open("bench-results/latest".as_ref())?;
/// let summary = render(&folder, &run, &Options::default())?;
/// print!("{}", text::table(&summary));
/// # Ok::<(), isomark_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] naming file and line of what cannot be read; otherwise what the host refused.
pub fn render(folder: &Folder, run: &Run, options: &Options) -> Result<Summary, Error> {
    let samples = folder.samples()?;
    let data = Dataset::new(run, &samples, folder.blocks()?).map_err(|e| dataset::of(folder.dir(), e))?;
    let mut summary = summarise::summarise(&data);
    summary.claims = claims::claims(&data)?;
    let language = options.language.as_deref().unwrap_or(words::ENGLISH);
    let spoken = words::Words::load(language, options.templates.as_deref())?;
    words::within(spoken, || told(folder, &data, &summary, options))?;
    folder.replace("samples.csv", &samples_csv::samples_csv(run, &samples)?)?;
    folder.replace("summary.json", &pretty(&summary)?)?;
    Ok(summary)
}

/// Writes what is read by people, in the language of the scope.
fn told(folder: &Folder, data: &Dataset<'_>, summary: &Summary, options: &Options) -> Result<(), Error> {
    let told = if words::is_english() { summary.clone() } else { retold::summary(data, summary)? };
    let summary = &told;
    let drawn = charts::charts(data, summary);
    let page = html::html(&view::view(data.run, summary, &drawn), options.templates.as_deref())?;
    for chart in &drawn {
        folder.replace(&format!("charts/{}.png", chart.name), &chart.png(summary)?)?;
    }
    folder.replace("report.html", page.as_bytes())?;
    // After the page: it never names a picture that is not there.
    folder.take_away("charts", |file| charts::is_stale(file, summary, &drawn))?;
    folder.replace("summary.md", markdown::markdown(summary).as_bytes())
}
