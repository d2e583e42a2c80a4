//! How many blocks would have been enough? What a stored run says of the length of the next one.
//!
//! `cargo run --release --example enough -- bench-results/latest 5` tells for each headline after which block its ratio to
//! `process` was known to within 5 %, and stayed so. Only reads: `isomark report DIR` renders.

use std::path::Path;

use isomark_core::Error;
use isomark_core::store::Folder;
use isomark_report::stats::paired::{Estimate, ratio};
use isomark_report::{Dataset, fmt, reference};

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| "bench-results/latest".into());
    let percent = args.next().map_or(Ok(5.0), |text| text.parse::<f64>());
    let percent = percent.map_err(|e| Error::Input(format!("the second argument is no percentage: {e}")))?;

    let (folder, run) = Folder::open(Path::new(&dir))?;
    let samples = folder.samples()?;
    let data = Dataset::new(&run, &samples, folder.blocks()?)?;
    for (at, cell) in run.cells.iter().enumerate() {
        // Controls and the process itself have nobody to be compared with.
        let Some((base, metric)) = reference::process(&run, at).zip(cell.metrics.first()) else { continue };
        let pairs: Vec<_> = data.pairs(at, base, &metric.name).into_iter().map(|(_, pair)| pair).collect();
        let Some(found) = ratio(&pairs) else { continue };
        println!(
            "{} of {} {}: {}, {}",
            metric.name,
            cell.runtime,
            cell.params,
            words(&found),
            enough(&pairs, percent)
        );
    }
    Ok(())
}

fn words(found: &Estimate) -> String {
    let range = found.ci95.map_or_else(|| "~".into(), |ci| fmt::ratio_interval(found.value, ci));
    format!("{} [{range}] from {} pairs", fmt::ratio(found.value, found.ci95), found.n)
}

/// An answer that was narrow once and wide again had been narrow by chance.
fn enough(pairs: &[(f64, f64)], percent: f64) -> String {
    let within = (1.0 + percent / 100.0).ln();
    let narrow = |n: &usize| {
        let interval = ratio(&pairs[..*n]).and_then(|found| found.ci95);
        interval.is_some_and(|[low, high]| (high / low).ln() / 2.0 <= within)
    };
    match (1..=pairs.len()).rev().take_while(narrow).last() {
        Some(n) => format!("± {percent} % after {n}"),
        None => format!("not yet ± {percent} %: take more blocks"),
    }
}
