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
fn wrapped(words: &str, room: f64, size: f64, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if letters::width(&format!("{line} {word}"), size, weight) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(letters::fitted(word, room, size, weight)),
        }
    }
    lines
}
