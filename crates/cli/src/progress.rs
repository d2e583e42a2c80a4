//! The progress of a run on stderr, drawn between trials only.
//!
//! There is no ticker: a bar that redraws by itself would take time from the very trials it counts.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use isomark_core::Error;
use isomark_core::record::Outcome;
use isomark_core::store::Writer;
use isomark_engine::{Event, Sink};
use isomark_report::precision::Precision;

/// Stores every sample as it ends and shows how far the run is.
pub(crate) struct Progress {
    writer: Writer,
    bar: ProgressBar,
    precision: Option<Precision>,
    /// Whether a payload answered wrongly.
    pub wrong: bool,
    /// What was found damaged first, in words.
    pub damaged: Option<String>,
    /// Trials that failed.
    pub failed: usize,
    /// How many trials met a shortage of the host, and the first of them in words.
    pub short: Option<(usize, String)>,
}

impl Progress {
    /// A run that is stored through `writer` and may end by `precision`; shown on a terminal, unless `quiet` or in CI.
    pub(crate) fn new(writer: Writer, precision: Option<Precision>, quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} trials, {eta} left  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { writer, bar, precision, wrong: false, damaged: None, failed: 0, short: None }
    }

    /// Takes the bar away, and brings what was measured to the disk.
    ///
    /// # Errors
    /// What the host refused.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.bar.finish_and_clear();
        self.writer.sync()
    }
}

impl Sink for Progress {
    fn on(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Next(done, total, cell) => {
                self.bar.set_length(total as u64);
                self.bar.set_position(done as u64);
                self.bar
                    .set_message(isomark_report::fmt::clean(&format!("{} {}", cell.runtime, cell.scenario)));
                Ok(())
            }
            Event::Stored(sample) => {
                self.precision.iter_mut().for_each(|p| p.add(sample));
                Ok(())
            }
            Event::Sample(sample) => {
                if let Outcome::Failed(failure) = &sample.outcome {
                    self.failed += 1;
                    self.wrong |= failure.kind == "wrong-answer";
                    if sample.is_exhausted() {
                        self.short.get_or_insert_with(|| (0, failure.message.clone())).0 += 1;
                    }
                    if failure.kind == "damaged" {
                        self.damaged.get_or_insert_with(|| failure.message.clone());
                    }
                }
                self.precision.iter_mut().for_each(|p| p.add(sample));
                self.writer.sample(sample)
            }
            Event::Block(block) => self.writer.block(block),
        }
    }

    fn precise(&mut self, cell: usize) -> bool {
        self.precision.as_ref().is_some_and(|p| p.precise(cell))
    }
}
