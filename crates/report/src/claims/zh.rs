//! The sentence for newcomers in Chinese.
//!
//! It says what the English one says, from the same values, by the same choice of words. The wording is isomark's own.

use super::file::Says;
use super::layers::Layers;
use super::outcome::{LayerOutcome, Measured};
use super::verdict::Verdict;
use super::words::{Case, case, shown, spread};
use crate::fmt;

/// What measures a claim that a run left out.
const PLAN: &str = "isomark run --plan claims";

/// The sentence.
#[must_use]
pub fn says(says: &Says, measured: &Measured, verdict: Verdict, layers: &Layers) -> String {
    let values = || {
        let parts = shown(measured, verdict);
        let of = |layer: &LayerOutcome| in_layer(layer, layers);
        let part =
            |part: &&super::outcome::PartOutcome| part.layers.iter().map(of).collect::<Vec<_>>().join("，");
        parts.iter().map(part).collect::<Vec<_>>().join("；")
    };
    match case(says, measured, verdict) {
        Case::NotTestable(Some(words)) => words.to_owned(),
        Case::NotTestable(None) => "无法在这台主机上检验。".to_owned(),
        Case::Unmeasured => format!("本次运行没有测量；{PLAN} 会测量它。"),
        Case::Few => format!("试验次数太少，不足以判定：{}。", values()),
        Case::Partly => format!("本次运行只测量了一部分（{PLAN} 测量全部）：{}。", values()),
        Case::Told(words) => words.replace("{measured}", &values()),
    }
}

/// `没有客户机操作系统的微型虚拟机 2.1 ms（相对于 process）`.
fn in_layer(layer: &LayerOutcome, layers: &Layers) -> String {
    let known = layers.get(&layer.layer).and_then(|known| known.name_zh.as_deref());
    let name = known.unwrap_or(&layer.name);
    let against = layer.points.iter().find_map(|point| point.against.as_deref());
    let against = against.map_or_else(String::new, |other| format!("（相对于 {}）", fmt::clean(other)));
    format!("{name} {}{against}", spread(layer))
}
