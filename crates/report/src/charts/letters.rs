//! How wide are these words, and what do they look like?
//!
//! Embedded fonts and nothing of the host: a chart has the same bytes where no font is installed. Letters that the two of
//! Latin do not have are taken from the Chinese one. Advance widths only; the fonts have been cut down to what charts
//! need and carry no kerning.

use std::sync::LazyLock;

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use super::scene::Weight;

static REGULAR: &[u8] = include_bytes!("../../../../report-templates/fonts/Roboto-Regular.ttf");
static MEDIUM: &[u8] = include_bytes!("../../../../report-templates/fonts/Roboto-Medium.ttf");

/// One weight: Chinese words are told apart by their size.
static CHINESE: &[u8] = include_bytes!("../../../../report-templates/fonts/NotoSansSC-subset.otf");

static FACES: LazyLock<[Option<Face<'static>>; 3]> =
    LazyLock::new(|| [REGULAR, MEDIUM, CHINESE].map(|bytes| Face::parse(bytes, 0).ok()));

fn face(weight: Weight) -> Option<&'static Face<'static>> {
    FACES[usize::from(weight == Weight::Medium)].as_ref()
}

/// The glyph of a letter and the font that has it; a box for what none has.
fn glyph(letter: char, weight: Weight) -> Option<(&'static Face<'static>, GlyphId)> {
    let own = face(weight)?;
    let found = [Some(own), FACES[2].as_ref()];
    let found = found.into_iter().flatten().find_map(|face| Some((face, face.glyph_index(letter)?)));
    let missing = || own.glyph_index('\u{fffd}').unwrap_or(GlyphId(0));
    Some(found.unwrap_or_else(|| (own, missing())))
}

/// Width of a letter in pixels at an em of `size` pixels.
fn advance(letter: char, size: f64, weight: Weight) -> f64 {
    glyph(letter, weight).map_or(0.0, |(face, id)| {
        f64::from(face.glyph_hor_advance(id).unwrap_or(0)) * size / f64::from(face.units_per_em())
    })
}

/// Whether a letter belongs to a script that has no blanks between its words.
#[must_use]
pub fn chinese(letter: char) -> bool {
    matches!(letter, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}')
}

/// Whether a line may be broken before this letter without a blank: punctuation stays with what it closes.
#[must_use]
pub fn breaks_before(letter: char) -> bool {
    chinese(letter) && !"，。、：；？！）》」』％".contains(letter)
}

/// Width of words in pixels at an em of `size` pixels.
#[must_use]
pub fn width(words: &str, size: f64, weight: Weight) -> f64 {
    words.chars().map(|letter| advance(letter, size, weight)).sum()
}

/// Room to leave for words that may be set in the reader's own font, which may be wider than ours.
///
/// DejaVu Sans, the widest of the usual ones, takes 1.18 times the room of Roboto, and its bold 1.28 times.
#[must_use]
pub fn room(words: &str, size: f64, weight: Weight) -> f64 {
    width(words, size, weight) * if weight == Weight::Medium { 1.28 } else { 1.18 }
}

/// The beginning of a text that fits into `room` pixels, with an ellipsis if it was longer.
#[must_use]
pub fn fitted(words: &str, room: f64, size: f64, weight: Weight) -> String {
    let mut text = words.to_owned();
    let mut letters = text.chars().count();
    while letters > 1 && self::room(&text, size, weight) > room {
        letters -= 1;
        text = crate::fmt::shortened(words, letters);
    }
    text
}

/// The outline of words whose baseline begins at (x, y); `None` if there is nothing to see.
#[must_use]
pub fn outline(words: &str, at: (f64, f64), size: f64, weight: Weight) -> Option<Path> {
    let mut pen = Pen { path: PathBuilder::new(), x: at.0, y: at.1, scale: 1.0 };
    for letter in words.chars() {
        let (face, id) = glyph(letter, weight)?;
        pen.scale = size / f64::from(face.units_per_em());
        // A blank has no outline; that is no failure.
        let _ = face.outline_glyph(id, &mut pen);
        pen.x += advance(letter, size, weight);
    }
    pen.path.finish()
}

/// Writes outlines in font units, y upwards, as a path in pixels, y downwards.
struct Pen {
    path: PathBuilder,
    x: f64,
    y: f64,
    scale: f64,
}

impl Pen {
    fn map(&self, x: f32, y: f32) -> (f32, f32) {
        ((self.x + f64::from(x) * self.scale) as f32, (self.y - f64::from(y) * self.scale) as f32)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.map(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.map(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.map(x1, y1), self.map(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.map(x1, y1), self.map(x2, y2), self.map(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fonts_have_the_letters_that_charts_need() {
        for weight in [Weight::Regular, Weight::Medium] {
            let face = face(weight).expect("an embedded font");
            for letter in "AZaz09µ×±–—…≤≥−·²'\"()[]/%~äßé".chars() {
                assert!(face.glyph_index(letter).is_some(), "{letter:?}");
            }
        }
    }

    #[test]
    fn chinese_words_have_a_width_and_an_outline() {
        for letter in "运行时，。：（）".chars() {
            assert!(FACES[2].as_ref().and_then(|face| face.glyph_index(letter)).is_some(), "{letter:?}");
            assert_eq!(
                width(&letter.to_string(), 12.0, Weight::Medium),
                12.0,
                "{letter:?} is as wide as high"
            );
        }
        assert!(outline("运行", (0.0, 0.0), 12.0, Weight::Regular).is_some());
        assert!(breaks_before('运') && !breaks_before('。') && !breaks_before('a'));
    }

    #[test]
    fn every_letter_of_the_chinese_texts_can_be_drawn() {
        let texts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../report-templates/lang/zh.toml");
        let Ok(texts) = std::fs::read_to_string(texts) else {
            println!("SKIPPED: there are no Chinese texts");
            return;
        };
        let drawn = |letter: char| {
            FACES.iter().flatten().any(|face| face.glyph_index(letter).is_some()) || letter.is_whitespace()
        };
        let missing: std::collections::BTreeSet<char> = texts.chars().filter(|c| !drawn(*c)).collect();
        assert!(missing.is_empty(), "no font has {missing:?}; run scripts/subset-font");
    }

    #[test]
    fn words_are_measured_and_cut() {
        assert!(width("WWW", 12.0, Weight::Regular) > width("iii", 12.0, Weight::Regular));
        assert_eq!(width("", 12.0, Weight::Medium), 0.0);
        let cut = fitted("a rather long label", 40.0, 12.0, Weight::Regular);
        assert!(cut.ends_with('…') && width(&cut, 12.0, Weight::Regular) <= 40.0, "{cut}");
        assert!(outline("x", (0.0, 0.0), 12.0, Weight::Regular).is_some());
        assert!(outline(" ", (0.0, 0.0), 12.0, Weight::Regular).is_none());
    }
}
