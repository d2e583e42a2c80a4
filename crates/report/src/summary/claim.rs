//! A sentence from the documents with its verdict.
//!
//! The words of the claim stand beside what was measured and what others published, so that each can be held against the
//! other.

use serde::{Deserialize, Serialize};

use crate::claims;
use crate::claims::outcome::{Figure as Published, Measured};

/// A sentence from the documents with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Its name.
    pub id: String,
    /// The claim in a few words.
    #[serde(default)]
    pub title: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title_zh: Option<String>,
    /// The sentence.
    pub text: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_zh: Option<String>,
    /// The documents that say it.
    #[serde(default)]
    pub documents: Vec<String>,
    /// Where they say it.
    #[serde(default)]
    pub place: String,
    /// `supported`, `refuted`, `inconclusive` or `not-testable`.
    pub verdict: claims::verdict::Verdict,
    /// Why, with rule, layer and configuration.
    pub why: String,
    /// The same for a newcomer, in a sentence.
    #[serde(default)]
    pub says: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence_zh: Option<String>,
    /// What was measured.
    pub measured: Measured,
    /// What others published.
    pub published: Vec<Published>,
}
