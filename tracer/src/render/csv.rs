//! Comma-separated values (RFC 4180) for spreadsheets, in which no name acts. Pure.

/// One line.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

/// What a spreadsheet would take for a formula begins with an apostrophe instead: at the start of a cell, and behind what
/// may separate cells where it reads the file in another way, as a semicolon does in half of Europe. Quotes do not help
/// there: they do not begin the cell then.
fn cell(text: &str) -> String {
    let (mut out, mut first) = (String::with_capacity(text.len()), true);
    for c in text.chars() {
        let acts = matches!(c, '=' | '+' | '-' | '@' | '|' | '%' | '\u{ff1d}' | '\u{ff0b}');
        let separates = matches!(c, ';' | '\t' | '\r' | '\n');
        if first && (acts || out.is_empty() && separates && c != ';') {
            out.push('\'');
        }
        out.push(c);
        first = separates || first && matches!(c, ' ' | '"');
    }
    let text = out;
    match text.contains(['"', ',', '\n', '\r', '\t', ' ', ';']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_a_formula() {
        let told =
            line(["geo-api", "=cmd|' /C calc'!A0", "a,b", "say \"x\"", "-1", "@SUM(A1)", ""]);
        assert_eq!(
            told,
            "geo-api,\"'=cmd|' /C calc'!A0\",\"a,b\",\"say \"\"x\"\"\",'-1,'@SUM(A1),\r\n"
        );
        for (name, shown) in [
            ("x;=cmd()", "\"x;'=cmd()\""),
            ("x; \"=cmd\"", "\"x; \"\"'=cmd\"\"\""),
            (";@a;+b", "\";'@a;'+b\""),
            ("\t=a", "\"'\t'=a\""),
            (" -1", "\" '-1\""),
            ("a-b;c=d", "\"a-b;c=d\""),
        ] {
            assert_eq!(cell(name), shown, "{name:?}");
        }
    }
}
