//! A chart that stands alone: title, what it shows, host and run around it.
//!
//! A picture is copied into slides without its page; whoever sees it there must still know what was measured,
//! where, how often and what the interval means.

use super::letters;
use super::scene::{Ink, Scene, Style, Weight};

/// Space around the chart.
const MARGIN: f64 = 28.0;

/// The chart with title and caption above, and lines about its origin below.
#[must_use]
pub fn framed(chart: Scene, title: &str, caption: &str, origin: &[String]) -> Scene {
    let inner = chart.width;
    let mut slide = Scene::new(inner + 2.0 * MARGIN);
    let mut y = MARGIN + 16.0;
    for line in wrapped(title, inner, 19.0, Weight::Medium) {
        slide.text((MARGIN, y), &line, Style::new(Ink::Text).size(19.0).medium());
        y += 25.0;
    }
    for line in wrapped(caption, inner, 12.5, Weight::Regular) {
        slide.text((MARGIN, y), &line, Style::new(Ink::Muted));
        y += 18.0;
    }
    let bottom = y + chart.height + 10.0;
    slide.place(chart, MARGIN, y + 2.0);
    slide.line([MARGIN, bottom, MARGIN + inner, bottom], 1.0, Ink::Grid);
    let mut y = bottom + 19.0;
    for line in origin.iter().flat_map(|line| wrapped(line, inner, 11.0, Weight::Regular)) {
        slide.text((MARGIN, y), &line, Style::new(Ink::Muted).size(11.0));
        y += 16.0;
    }
    slide.height = y + MARGIN - 16.0;
    slide
}

/// Words broken into lines of at most `room` pixels.
pub(super) fn wrapped(words: &str, room: f64, size: f64, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (blank, word) in words.split_whitespace().flat_map(pieces) {
        match lines.last_mut() {
            Some(line) if letters::width(&format!("{line}{blank}{word}"), size, weight) <= room => {
                line.push_str(blank);
                line.push_str(&word);
            }
            _ => lines.push(letters::fitted(&word, room, size, weight)),
        }
    }
    lines
}

/// A word in the pieces between which a line may end, each with what stands before it.
fn pieces(word: &str) -> Vec<(&'static str, String)> {
    let mut all = vec![(" ", String::new())];
    let (mut chinese, mut opened) = (false, false);
    for letter in word.chars() {
        let breaks =
            !opened && (letters::breaks_before(letter) || (chinese && letter.is_ascii_alphanumeric()));
        // What opens stands with what it opens.
        opened = matches!(letter, '（' | '《' | '「' | '『');
        match all.last_mut() {
            Some((_, piece)) if !breaks || piece.is_empty() => piece.push(letter),
            _ => all.push(("", letter.to_string())),
        }
        chinese = letters::chinese(letter);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_between_chinese_letters() {
        let lines = |words: &str, room: f64| wrapped(words, room, 12.0, Weight::Regular);
        assert_eq!(lines("one two", 400.0), ["one two"]);
        assert_eq!(lines("one two", 30.0), ["one", "two"]);
        assert_eq!(lines("运行时，运行时。", 40.0), ["运行", "时，运", "行时。"]);
        assert_eq!(lines("95 % 区间。", 400.0), ["95 % 区间。"]);
        assert_eq!(lines("运行（时）", 44.0), ["运行", "（时）"]);
    }
}
