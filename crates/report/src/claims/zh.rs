//! The sentence for newcomers in Chinese.
//!
//! It says what the English one says, from the same values, by the same choice of words. The wording is isomark's own.

use super::file::Says;
use super::layers::Layers;
use super::outcome::{LayerOutcome, Measured, PartOutcome};
use super::verdict::Verdict;
use super::words::{Case, alike, case, others, shown, span};
use crate::words::say;

/// What measures a claim that a run left out.
const PLAN: &str = "isomark run --plan claims";

/// The sentence.
#[must_use]
pub fn says(says: &Says, measured: &Measured, verdict: Verdict, layers: &Layers) -> String {
    let values = || {
        let parts = shown(measured, verdict);
        let of = |same: &Vec<&LayerOutcome>| in_layer(same, layers);
        // A claim of several parts names the quantity of each.
        let several = measured.parts.iter().filter(|p| !p.reported && p.about_zh.is_some()).count() > 1;
        let part = |part: &&PartOutcome| {
            let values = chinese(&alike(part).iter().map(of).collect::<Vec<_>>().join("，"));
            match part.about_zh.as_ref().filter(|_| several) {
                Some(about) => format!("{about}：{values}"),
                None => values,
            }
        };
        parts.iter().map(part).collect::<Vec<_>>().join("；")
    };
    match case(says, measured, verdict) {
        Case::NotTestable(Some(words)) => words.to_owned(),
        Case::NotTestable(None) => "无法在这台主机上检验。".to_owned(),
        Case::Unmeasured if alone(measured) => {
            "本次运行没有测量：没有可以比较的运行时；isomark list 列出已安装的，--runtime NAME 把它加入运行。"
                .to_owned()
        }
        Case::Unmeasured => format!("本次运行没有测量；{PLAN} 会测量它。"),
        Case::Few => format!("试验次数太少，不足以判定：{}。", values()),
        Case::Partly => format!("本次运行只测量了一部分（{PLAN} 测量全部）：{}。", values()),
        Case::Told(words) => words.replace("{measured}", &values()),
    }
}

/// Whether nothing was there to compare with.
fn alone(measured: &Measured) -> bool {
    let head = say("claims.alone_head");
    let missing = measured.parts.iter().filter(|part| !part.reported).flat_map(|part| &part.missing);
    missing.into_iter().any(|missing| missing.why.starts_with(&head))
}

/// Values as a Chinese sentence has them, whatever the language of the report: numbers stay, words do not.
fn chinese(values: &str) -> String {
    let words =
        [(" to ", " 至 "), ("at most ", "不超过 "), (" points", " 个百分点"), (" instance/s", " 个/秒")];
    words.iter().fold(values.to_owned(), |text, (english, chinese)| text.replace(english, chinese))
}

/// `没有客户机操作系统的微型虚拟机 2.1 ms（相对于 process）`.
fn in_layer(same: &[&LayerOutcome], layers: &Layers) -> String {
    let Some(first) = same.first() else { return String::new() };
    let known = layers.get(&first.layer).and_then(|known| known.name_zh.as_deref());
    let name = known.unwrap_or(&first.name);
    let against = others(same).join("、");
    let against = if against.is_empty() { against } else { format!("（相对于 {against}）") };
    format!("{name} {}{against}", span(same))
}
