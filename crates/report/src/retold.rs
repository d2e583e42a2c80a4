//! A summary as its readers are told it: the same numbers, its sentences in the language of the scope.
//!
//! `summary.json` stays English, and so do its warnings here: whoever shows them sorts them first. Sentences are recognised by their patterns; one that nobody knows, a message of a kernel
//! or of a tool, stays as it was said.

use isomark_core::Error;

use crate::claims::claims;
use crate::dataset::Dataset;
use crate::summary::Summary;
use crate::words::{language, named, retold};

/// The summary in the language of the scope.
///
/// # Errors
/// As [`claims`], whose sentences are made again.
pub(crate) fn summary(data: &Dataset<'_>, stored: &Summary) -> Result<Summary, Error> {
    let mut told = stored.clone();
    for column in &mut told.headline.columns {
        let what = retold(&column.what);
        column.what = if what == column.what { named("metric", &what) } else { what };
    }
    for row in &mut told.headline.rows {
        again(&mut row.reason);
        row.figures.iter_mut().flatten().for_each(|figure| again(&mut figure.why));
    }
    for cell in &mut told.cells {
        again(&mut cell.reason);
        again(&mut cell.remedy);
        cell.metrics.iter_mut().filter_map(|m| m.versus.as_mut()).for_each(|versus| again(&mut versus.why));
    }
    told.controls.iter_mut().for_each(|control| again(&mut control.why));
    if !told.claims.is_empty() {
        told.claims = claims(data)?;
        // The claims' own Chinese is better than sentences made of parts.
        for claim in told.claims.iter_mut().filter(|_| language() == "zh") {
            let own = [
                (&mut claim.title, &claim.title_zh),
                (&mut claim.text, &claim.text_zh),
                (&mut claim.says, &claim.sentence_zh),
            ];
            for (text, chinese) in own {
                if let Some(chinese) = chinese {
                    text.clone_from(chinese);
                }
            }
        }
    }
    Ok(told)
}

fn again(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = retold(text);
    }
}
