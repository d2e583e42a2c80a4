//! What a drawing consists of, before anybody knows whether it becomes SVG or PNG.
//!
//! A scene holds shapes and words with an ink each; inks are roles, not colours, so that the page can be light or
//! dark. Coordinates in CSS pixels, y downwards, words stand on their baseline.

/// The role that a colour plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Words that must be read.
    Text,
    /// Words that may be read.
    Muted,
    /// Lines of the grid.
    Grid,
    /// Axes and reference lines.
    Axis,
    /// The region of equivalence.
    Band,
    /// The background.
    Paper,
    /// A runtime, by its place on the shelf.
    Runtime(usize),
    /// A lifecycle phase, by its place in an instance's life.
    Phase(usize),
    /// Words on top of a phase's colour.
    OnPhase(usize),
    /// Worse than the reference; its opacity says by how much.
    Worse,
    /// Better than the reference; its opacity says by how much.
    Better,
}

/// Colours of runtimes and of phases that are told apart; further ones begin anew.
pub const SERIES: usize = 8;

/// The smallest em that can be read on a telephone, in pixels.
pub const LEGIBLE: f64 = 11.0;

/// Weight of a font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Running words.
    Regular,
    /// Titles and totals.
    Medium,
}

/// Which part of a text stands at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Height of the em in pixels.
    pub size: f64,
    /// Weight.
    pub weight: Weight,
    /// Anchor.
    pub anchor: Anchor,
    /// Ink.
    pub ink: Ink,
}

impl Style {
    /// Words of a chart: 12.5 pixels, regular.
    #[must_use]
    pub const fn new(ink: Ink) -> Self {
        Self { size: 12.5, weight: Weight::Regular, anchor: Anchor::Start, ink }
    }

    /// The same at another size.
    #[must_use]
    pub const fn size(self, size: f64) -> Self {
        Self { size, ..self }
    }

    /// The same, anchored elsewhere.
    #[must_use]
    pub const fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    /// The same, medium.
    #[must_use]
    pub const fn medium(self) -> Self {
        Self { weight: Weight::Medium, ..self }
    }
}

/// One thing drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A filled rectangle: x, y, width, height; `round` is the radius of its corners.
    Rect {
        /// Left, top, width, height.
        area: [f64; 4],
        /// Radius of the corners.
        round: f64,
    },
    /// A straight line.
    Line {
        /// x1, y1, x2, y2.
        ends: [f64; 4],
        /// Width of the stroke.
        width: f64,
        /// Whether it is dashed.
        dashed: bool,
    },
    /// Filled circles of one radius.
    Dots {
        /// Centres.
        at: Vec<(f64, f64)>,
        /// Radius.
        radius: f64,
    },
    /// A line through points, not filled.
    Curve {
        /// Points in order.
        through: Vec<(f64, f64)>,
        /// Width of the stroke.
        width: f64,
        /// Whether it is dashed.
        dashed: bool,
    },
    /// A filled polygon.
    Polygon {
        /// Corners.
        corners: Vec<(f64, f64)>,
    },
    /// Words.
    Text {
        /// Position of the anchor on the baseline.
        at: (f64, f64),
        /// The words.
        words: String,
        /// Size of the em.
        size: f64,
        /// Weight.
        weight: Weight,
        /// Anchor.
        anchor: Anchor,
        /// Degrees by which it is turned about its position, clockwise.
        turn: f64,
    },
}

/// A mark with its ink, and what a pointer over it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What is drawn.
    pub mark: Mark,
    /// In which ink.
    pub ink: Ink,
    /// Opacity, 0 to 1.
    pub alpha: f64,
    /// What a pointer over it is told.
    pub tip: Option<String>,
    /// The runtime that it is of, so that a page can show one and hide another.
    pub runtime: Option<String>,
}

/// A drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// Marks, the lowest first.
    pub items: Vec<Item>,
}

impl Scene {
    /// An empty drawing of a width; its height grows with what is put in.
    #[must_use]
    pub const fn new(width: f64) -> Self {
        Self { width, height: 0.0, items: Vec::new() }
    }

    fn put(&mut self, mark: Mark, ink: Ink) -> &mut Item {
        let at = self.items.len();
        self.items.push(Item { mark, ink, alpha: 1.0, tip: None, runtime: None });
        &mut self.items[at]
    }

    /// A rectangle: left, top, width, height.
    pub fn rect(&mut self, area: [f64; 4], round: f64, ink: Ink) -> &mut Item {
        self.put(Mark::Rect { area, round }, ink)
    }

    /// A line.
    pub fn line(&mut self, ends: [f64; 4], width: f64, ink: Ink) -> &mut Item {
        self.put(Mark::Line { ends, width, dashed: false }, ink)
    }

    /// A dashed line.
    pub fn dashes(&mut self, ends: [f64; 4], width: f64, ink: Ink) -> &mut Item {
        self.put(Mark::Line { ends, width, dashed: true }, ink)
    }

    /// Circles.
    pub fn dots(&mut self, at: Vec<(f64, f64)>, radius: f64, ink: Ink) -> &mut Item {
        self.put(Mark::Dots { at, radius }, ink)
    }

    /// A polygon.
    pub fn polygon(&mut self, corners: Vec<(f64, f64)>, ink: Ink) -> &mut Item {
        self.put(Mark::Polygon { corners }, ink)
    }

    /// Words.
    pub fn text(&mut self, at: (f64, f64), words: &str, style: Style) -> &mut Item {
        let Style { size, weight, anchor, ink } = style;
        let size = size.max(LEGIBLE);
        self.put(Mark::Text { at, words: crate::fmt::clean(words), size, weight, anchor, turn: 0.0 }, ink)
    }

    /// Words turned about their position, clockwise by so many degrees.
    pub fn turned(&mut self, at: (f64, f64), words: &str, style: Style, degrees: f64) -> &mut Item {
        let item = self.text(at, words, style);
        if let Mark::Text { turn, .. } = &mut item.mark {
            *turn = degrees;
        }
        item
    }

    /// A line through points.
    pub fn curve(&mut self, through: Vec<(f64, f64)>, width: f64, ink: Ink) -> &mut Item {
        self.put(Mark::Curve { through, width, dashed: false }, ink)
    }

    /// A mark of a series: shapes differ beside colours, so that no colour is needed to tell neighbours apart.
    pub fn marker(&mut self, series: usize, (x, y): (f64, f64), radius: f64, ink: Ink) -> &mut Item {
        // Five shapes and eight colours have no common divisor: forty series look different.
        let corner = |dx: f64, dy: f64| (x + dx * radius, y + dy * radius);
        match series % 5 {
            0 => self.dots(vec![(x, y)], radius, ink),
            1 => {
                let side = radius * 0.9;
                self.rect([x - side, y - side, 2.0 * side, 2.0 * side], 0.0, ink)
            }
            2 => self.polygon(vec![corner(0.0, -1.2), corner(1.15, 0.85), corner(-1.15, 0.85)], ink),
            3 => self
                .polygon(vec![corner(0.0, -1.3), corner(1.3, 0.0), corner(0.0, 1.3), corner(-1.3, 0.0)], ink),
            _ => self.polygon(vec![corner(0.0, 1.2), corner(-1.15, -0.85), corner(1.15, -0.85)], ink),
        }
    }

    /// Says that all marks from the one at `from` on are of this runtime.
    pub fn own(&mut self, from: usize, runtime: &str) {
        for item in self.items.iter_mut().skip(from) {
            item.runtime = Some(runtime.to_owned());
        }
    }

    /// A heading on a patch of background, so that no grid line runs through its words.
    pub fn heading(&mut self, at: (f64, f64), words: &str, style: Style) {
        let width = super::letters::room(words, style.size, style.weight);
        let (up, down) = (style.size * 0.95, style.size * 0.4);
        self.rect([at.0 - 2.0, at.1 - up, width + 6.0, up + down], 0.0, Ink::Paper);
        self.text(at, words, style);
    }

    /// Puts another drawing into this one, moved by (x, y).
    pub fn place(&mut self, other: Self, x: f64, y: f64) {
        for mut item in other.items {
            item.mark.shift(x, y);
            self.items.push(item);
        }
        self.height = self.height.max(y + other.height);
    }
}

impl Item {
    /// Sets the opacity.
    pub fn alpha(&mut self, alpha: f64) -> &mut Self {
        self.alpha = alpha;
        self
    }

    /// Sets what a pointer over it is told.
    pub fn tip(&mut self, words: impl Into<String>) -> &mut Self {
        self.tip = Some(words.into());
        self
    }
}

impl Mark {
    fn shift(&mut self, x: f64, y: f64) {
        match self {
            Self::Rect { area: [left, top, ..], .. } => {
                *left += x;
                *top += y;
            }
            Self::Line { ends: [x1, y1, x2, y2], .. } => {
                *x1 += x;
                *x2 += x;
                *y1 += y;
                *y2 += y;
            }
            Self::Dots { at, .. } | Self::Polygon { corners: at } | Self::Curve { through: at, .. } => {
                for point in at {
                    point.0 += x;
                    point.1 += y;
                }
            }
            Self::Text { at, .. } => {
                at.0 += x;
                at.1 += y;
            }
        }
    }
}
