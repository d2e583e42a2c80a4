//! What may a page do? Show its own style and run its own script, named by their hashes, and nothing else.
//!
//! A policy by hash holds for exactly these bytes: words from a run that ever reached the page as markup could neither
//! run nor fetch. Hashes are those of Content Security Policy Level 3, section 2.3.1.

use sha2::{Digest, Sha256};

/// The content-security policy of a page with one style sheet and one script.
#[must_use]
pub fn policy(style: &str, script: &str) -> String {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        source(style),
        source(script)
    )
}

/// `sha256-…` of an inline element's text.
fn source(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let six = (word >> (18 - 6 * at)) & 63;
            out.push(if at <= three.len() { char::from(LETTERS[six as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_a_browser_computes() {
        // RFC 4648, section 10; the hash is the specification's own example of a script.
        for (bytes, wanted) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), wanted);
        }
        assert_eq!(source("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }
}
