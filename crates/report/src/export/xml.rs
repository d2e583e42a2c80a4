//! Words inside XML.
//!
//! Besides the five entities: XML 1.0 allows only tab, line feed, carriage return and U+0020 upwards without U+FFFE and
//! U+FFFF (section 2.2, production `Char`). `fmt::clean` takes the controls away; the two non-characters go here.

use crate::fmt;

/// The text escaped for element content and for attributes in double quotes.
///
/// ```
/// use isomark_report::export::xml::escape;
/// assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in fmt::clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
