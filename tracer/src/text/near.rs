//! Names that are like what was typed.

/// How like a name must be, of 1 (Jaro and Winkler).
pub const NEAR: f64 = 0.75;

/// `; did you mean `NAME`?` where a name is like `text`, else nothing.
pub fn meant(text: &str, names: &[&str]) -> String {
    nearest(text, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The name that is most like `text`, if any is.
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(name, text);
    let near = names.iter().copied().filter(|name| likeness(name) > NEAR);
    near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
