//! An answer for a chat or a ticket. Pure.
use crate::text::escape::escape;

/// A headline, and the rest as it is, in a fence that no name can leave.
pub fn fenced(name: &[u8], headline: impl AsRef<str>, text: &str) -> Vec<u8> {
    let name = escape(name);
    let fence = |least: usize, text: &str| {
        let runs = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        "`".repeat(least.max(runs + 1))
    };
    let (inline, block) = (fence(1, &name), fence(3, text));
    let headline = headline.as_ref();
    format!("### {inline} {name} {inline} {headline}\n\n{block}text\n{text}{block}\n").into_bytes()
}
