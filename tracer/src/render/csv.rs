//! Comma-separated values (RFC 4180) for spreadsheets, in which no name acts. Pure.

/// One line.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

/// What a spreadsheet would take for a formula begins with an apostrophe instead.
fn cell(text: &str) -> String {
    let acts = text.starts_with(['=', '+', '-', '@', '\t', '\r', '|', '%', '\u{ff1d}', '\u{ff0b}']);
    let text = if acts { format!("'{text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\n', '\r', ' ', ';']) {
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
    }
}
