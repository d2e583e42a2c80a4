//! A scene as SVG that stands inside the page.
//!
//! Colours are classes, so the page's style sheet decides light or dark; words are escaped; there is no script,
//! no link and no font.

use std::fmt::Write;

use super::scene::{Anchor, Ink, Item, Mark, Scene, Weight};

/// The scene as an `svg` element; `class` is given to it, `label` is what a screen reader says.
#[must_use]
pub fn svg(scene: &Scene, class: &str, label: &str) -> String {
    let mut out = String::with_capacity(scene.items.len() * 80);
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        r#"<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">"#,
        escape(class),
        number(scene.width),
        number(scene.height),
        number(scene.width),
        number(scene.height),
        escape(label)
    );
    // Neighbours of one runtime stand in one group: a page shows and hides them together.
    let mut runtime: Option<&str> = None;
    for item in &scene.items {
        if item.runtime.as_deref() != runtime {
            out.push_str(if runtime.is_some() { "</g>" } else { "" });
            runtime = item.runtime.as_deref();
            if let Some(name) = runtime {
                let _ = write!(out, r#"<g data-runtime="{}">"#, escape(name));
            }
        }
        element(&mut out, item);
    }
    out.push_str(if runtime.is_some() { "</g></svg>" } else { "</svg>" });
    out
}

fn element(out: &mut String, item: &Item) {
    let (name, attributes) = match &item.mark {
        Mark::Rect { area: [x, y, w, h], round } => {
            let corners = if *round > 0.0 { format!(r#" rx="{}""#, number(*round)) } else { String::new() };
            let [x, y, w, h] = [x, y, w, h].map(|v| number(*v));
            ("rect", format!(r#"x="{x}" y="{y}" width="{w}" height="{h}"{corners}"#))
        }
        Mark::Line { ends, width, dashed } => {
            let [x1, y1, x2, y2] = ends.map(number);
            let dash = if *dashed { r#" stroke-dasharray="3 3""# } else { "" };
            ("path", format!(r#"d="M{x1} {y1}L{x2} {y2}" stroke-width="{}"{dash}"#, number(*width)))
        }
        // A stroke of no length with round ends is a dot: one element for any number of them.
        Mark::Dots { at, radius } => {
            let path: String = at.iter().map(|(x, y)| format!("M{} {}h0", number(*x), number(*y))).collect();
            ("path", format!(r#"d="{path}" stroke-width="{}" stroke-linecap="round""#, number(radius * 2.0)))
        }
        Mark::Polygon { corners } => ("polygon", format!(r#"points="{}""#, points(corners))),
        Mark::Curve { through, width, dashed } => {
            let dash = if *dashed { r#" stroke-dasharray="5 4""# } else { "" };
            let points = points(through);
            ("path", format!(r#"d="M{points}" stroke-width="{}"{dash}"#, number(*width)))
        }
        Mark::Text { at, size, weight, anchor, turn, .. } => {
            let mut attributes = text(*at, *size, *weight, *anchor);
            if *turn != 0.0 {
                let [turn, x, y] = [*turn, at.0, at.1].map(number);
                let _ = write!(attributes, r#" transform="rotate({turn} {x} {y})""#);
            }
            ("text", attributes)
        }
    };
    let alpha =
        if item.alpha < 1.0 { format!(r#" opacity="{}""#, number(item.alpha)) } else { String::new() };
    let told = item.tip.as_deref().map(escape);
    let _ = write!(out, r#"<{name} class="{}" {attributes}{alpha}"#, class(item.ink));
    let words = if let Mark::Text { words, .. } = &item.mark { escape(words) } else { String::new() };
    match told {
        Some(told) => _ = write!(out, "><title>{told}</title>{words}</{name}>"),
        None if words.is_empty() => out.push_str("/>"),
        None => _ = write!(out, ">{words}</{name}>"),
    }
}

fn points(all: &[(f64, f64)]) -> String {
    all.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect::<Vec<_>>().join(" ")
}

fn text(at: (f64, f64), size: f64, weight: Weight, anchor: Anchor) -> String {
    let mut out = format!(r#"x="{}" y="{}" font-size="{}""#, number(at.0), number(at.1), number(size));
    if weight == Weight::Medium {
        out.push_str(r#" font-weight="600""#);
    }
    match anchor {
        Anchor::Start => {}
        Anchor::Middle => out.push_str(r#" text-anchor="middle""#),
        Anchor::End => out.push_str(r#" text-anchor="end""#),
    }
    out
}

/// The class under which the style sheet knows an ink.
fn class(ink: Ink) -> String {
    match ink {
        Ink::Text => "i-text".to_owned(),
        Ink::Muted => "i-muted".to_owned(),
        Ink::Grid => "i-grid".to_owned(),
        Ink::Axis => "i-axis".to_owned(),
        Ink::Band => "i-band".to_owned(),
        Ink::Paper => "i-paper".to_owned(),
        Ink::Worse => "i-worse".to_owned(),
        Ink::Better => "i-better".to_owned(),
        Ink::Runtime(at) => format!("r{}", at % super::scene::SERIES),
        Ink::Phase(at) => format!("p{}", at % super::scene::SERIES),
        Ink::OnPhase(at) => format!("o{}", at % super::scene::SERIES),
    }
}

/// Two decimals at most, none if there are none.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Words made harmless inside an element or a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::fmt::clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::scene::Style;

    #[test]
    fn words_are_escaped_and_numbers_short() {
        let mut scene = Scene::new(10.0);
        scene.height = 5.5;
        scene.text((1.0, 2.345), "<b>&", Style::new(Ink::Text)).tip("\"x\"");
        scene.own(0, "a\"b");
        let text = svg(&scene, "chart", "a<b");
        assert!(
            text.contains(r#"viewBox="0 0 10 5.5""#) && text.contains(r#"aria-label="a&lt;b""#),
            "{text}"
        );
        assert!(
            text.contains(r#"<g data-runtime="a&quot;b"><text "#) && text.ends_with("</g></svg>"),
            "{text}"
        );
        assert!(text.contains("<title>&quot;x&quot;</title>&lt;b&gt;&amp;</text>"), "{text}");
        assert_eq!([number(-0.001), number(2.0), number(1.239)], ["0", "2", "1.24"]);
    }
}
