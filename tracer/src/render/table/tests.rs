use super::*;

fn style(colour: bool) -> Style {
    Style { colour, ..Style::plain(true, false) }
}

const COLUMNS: [Column; 3] = [
    Column::fixed("N").right(),
    Column::flexible("FILE", 8).keep(Keeps::End),
    Column::flexible("BY", 4).rank(1),
];

fn shown(width: Option<usize>, colour: bool) -> Vec<String> {
    let cells = |n: &str, file: &str, by: &str| {
        vec![Cell::plain(n), Cell::plain(file), Cell::painted("31", by)]
    };
    let rows = vec![cells("7", "/efs/geo/GeoIP2.mmdb", "cp[5678]"), cells("12", "/x", "日本語")];
    let layout = Layout::new(&COLUMNS, &[], &rows, width);
    let style = style(colour);
    let rows = rows.iter().map(|row| layout.row(row, &style));
    [layout.head(&style)].into_iter().chain(rows).collect()
}

#[test]
fn a_line_is_as_wide_as_it_needs_to_be_or_may_be() {
    assert_eq!(
        shown(None, false),
        [
            "N   FILE                  BY\n",
            " 7  /efs/geo/GeoIP2.mmdb  cp[5678]\n",
            "12  /x                    日本語\n"
        ]
        .map(|line| line.replace("N   FILE", " N  FILE"))
    );
    for width in [14, 16, 20, 24, 28, 33, 34, 80] {
        let lines = shown(Some(width), false);
        assert!(lines.iter().all(|line| line.trim_end().width() <= width), "{width}: {lines:#?}");
    }
    // The end of a path, and the whole of what is short.
    assert_eq!(shown(Some(26), false)[1], " 7  …GeoIP2.mmdb  cp[5678]\n");
    assert_eq!(shown(Some(27), false)[1], " 7  …/GeoIP2.mmdb  cp[5678]\n");
    assert!(!shown(Some(14), false)[0].contains("BY"), "no room for it");
}

#[test]
fn colour_takes_no_room() {
    let painted: Vec<String> = shown(Some(30), true)
        .iter()
        .map(|line| line.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[0m", ""))
        .collect();
    assert_eq!(painted, shown(Some(30), false));
}

#[test]
fn what_is_wide_is_cut_between_its_letters() {
    assert_eq!(cut("日本語", 4, Keeps::Start), "日…");
    assert_eq!(cut("/a/日本語", 7, Keeps::End), "…日本語");
    assert_eq!(cut("abc", 3, Keeps::Start), "abc");
    assert_eq!(cut("abc", 0, Keeps::Start), "…");
    assert_eq!(cut("bus-worker[610]", 12, Keeps::From('[')), "bus-wo…[610]");
    let direction = r"a\u{202e}gnp.exe";
    for width in 3..10 {
        assert_eq!(cut(direction, width, Keeps::Start), "a…", "{width}");
    }
    assert_eq!(cut(direction, 11, Keeps::Start), r"a\u{202e}g…");
    assert_eq!(cut(direction, 10, Keeps::End), "a….exe", "no half of a letter");
    assert_eq!(cut(r"a\nb\x1bc", 3, Keeps::Start), "a…");
    assert_eq!(cut(r"a\nb\x1bc", 4, Keeps::Start), r"a\n…");
    assert_eq!(cut(r"\\\\", 3, Keeps::Start), r"\\…");
    let list = "reader[12], writer[345], and 7 more";
    assert_eq!(cut(list, 30, Keeps::Items), "reader[12], writer[345], …");
    assert_eq!(cut(list, 25, Keeps::Items), "reader[12], …");
    assert_eq!(cut(list, 9, Keeps::Items), "rea…[12]…", "not the only one");
    assert_eq!(cut(list, 10, Keeps::Items), "read…[12]…");
    assert_eq!(cut("SIGSEGV, exit 2", 4, Keeps::Items), "SIG…");
    assert_eq!(cut("worker[1234567]", 12, Keeps::Items), "wo…[1234567]", "the only one");
    assert_eq!(cut("sent (SIGKILL)", 9, Keeps::Items), "sent (SI…");
    assert_eq!(cut("worker[1234567]", 8, Keeps::From('[')), "worker…", "no half of a pid");
    assert_eq!(cut("worker[1234567]", 5, Keeps::From('[')), "work…");
    assert_eq!(cut("mapped-past-end?", 10, Keeps::From('?')), "mapped-p…?");
    assert_eq!(cut("mapped-past-end", 10, Keeps::From('?')), "mapped-pa…");
    let path = "/srv/geo/data/GeoIP2-City.mmdb";
    assert_eq!(cut(path, 24, Keeps::End), "…/data/GeoIP2-City.mmdb");
    assert_eq!(cut(path, 22, Keeps::End), "…/GeoIP2-City.mmdb", "whole names");
    assert_eq!(cut(path, 17, Keeps::End), "…GeoIP2-City.mmdb");
    assert_eq!(cut(path, 10, Keeps::End), "GeoIP…mmdb", "its middle goes");
    let time = "2026-11-28 00:06:40";
    assert_eq!(cut(time, 18, Keeps::Clock), "11-28 00:06:40");
    assert_eq!(cut(time, 11, Keeps::Clock), "11-28 00:06");
}

/// One id that is longer than the others moves only its own line; one long file takes nothing from what all have.
#[test]
fn what_is_wider_than_most_widens_no_column() {
    const COLUMNS: [Column; 3] = [
        Column::fixed("ID").spills(),
        Column::flexible("VICTIM", 8).keep(Keeps::From('[')),
        Column::flexible("FILE", 6).keep(Keeps::End),
    ];
    let row = |id: &str, file: &str| {
        vec![Cell::plain(id), Cell::plain("geo-worker[1234]"), Cell::plain(file)]
    };
    let mut rows: Vec<Vec<Cell>> = (0..9).map(|_| row("01a21f79-b732", "/srv/a.db")).collect();
    rows.push(row("01a21f79-b732-7f00", &format!("/srv/{}/a.db", "x".repeat(60))));
    let layout = Layout::new(&COLUMNS, &[], &rows, Some(42));
    let style = style(false);
    assert_eq!(layout.row(&rows[0], &style), "01a21f79-b732  geo-worker[1234]  /srv/a.db\n");
    assert_eq!(layout.row(&rows[9], &style), "01a21f79-b732-7f00  geo-…[1234]  …/a.db\n");
    // Where there is room for all, all are in line.
    let layout = Layout::new(&COLUMNS, &[], &rows, Some(200));
    let at = |row: &[Cell]| layout.row(row, &style).find("geo-worker");
    assert_eq!(at(&rows[0]), at(&rows[9]));
}

/// What comes later is shortened only by what it has.
#[test]
fn another_host_is_not_shown_as_one_of_these() {
    const COLUMNS: [Column; 1] = [Column::flexible("HOST", 8).keep(Keeps::Difference)];
    let row = |host: &str| vec![Cell::plain(host)];
    let rows = vec![row("prod-db-07.example.com"), row("prod-db-08.example.com")];
    let layout = Layout::new(&COLUMNS, &[], &rows, Some(10));
    let shown = |host: &str| layout.row(&row(host), &style(false)).trim_end().to_owned();
    assert_eq!(shown("prod-db-07.example.com"), "…07…");
    assert_eq!(shown("prod-db-09.example.com"), "…09…");
    assert_eq!(shown("test-db-07.attackr.com"), "test-db-0…");
    assert_eq!(shown("prod-db-07.attackr.com"), "prod-db-0…");
    assert_eq!(shown("prod-db-.example.com"), "prod-db-.…");
    assert_eq!(shown("日本-db-07.example.com"), "日本-db-0…");
}

/// Of a name that begins with what acts on a terminal something can be read.
#[test]
fn what_can_be_read_stays() {
    let hostile = r"\x1b[2J\x1b]0;geo\x07";
    assert_eq!(cut(hostile, 8, Keeps::Start), r"\x1b[2J…", "as much as there is room for");
    assert_eq!(cut(hostile, 5, Keeps::Start), "…2J…");
    assert_eq!(cut(r"\n\n\n\n\ngeo[12]", 9, Keeps::From('[')), "…geo[12]");
    assert_eq!(cut(r"\n\n\n\n\n", 5, Keeps::Start), r"\n\n…", "there is nothing else");
    assert_eq!(cut(r"\x1b\x1b\x1b", 3, Keeps::Start), "…");
}

/// Words of a few are whole before a path has more than it needs, and paths that end alike are shown by what differs.
#[test]
fn few_words_are_whole_and_paths_are_told_apart() {
    const COLUMNS: [Column; 4] = [
        Column::flexible("VICTIM", 8).keep(Keeps::From('[')),
        Column::flexible("CAUSE", 5).keep(Keeps::From('?')).whole(),
        Column::flexible("UNIT", 8).keep(Keeps::End).rank(6),
        Column::flexible("FILE", 12).keep(Keeps::End),
    ];
    let row = |cause: &str, dir: &str| {
        let file = format!("/srv/data/{dir}/live");
        vec![
            Cell::plain("geo-worker[1234]"),
            Cell::plain(cause),
            Cell::plain("geo-worker.service"),
            Cell::plain(file),
        ]
    };
    let mut rows = vec![row("mapped-past-end", "europe-maps"), row("sent", "asia-maps")];
    rows.resize(20, row("truncated", "asia-maps"));
    let style = style(false);
    let shown = |width| {
        let layout = Layout::new(&COLUMNS, &[], &rows, Some(width));
        [layout.row(&rows[0], &style), layout.row(&rows[1], &style)]
    };
    for width in [36, 40, 50, 60, 70] {
        let [first, second] = shown(width);
        assert!(first.contains(" mapped-past-end  "), "{width}: {first}");
        assert!(first.trim_end().width() <= width, "{width}: {first}");
        if width > 40 {
            assert!(first.contains("eur") && second.contains("asi"), "{first}{second}");
        }
    }
    assert!(!shown(40)[0].contains(".service"), "no room for it");
}

#[test]
fn of_a_path_what_tells_it_apart_is_shown_with_its_last_name() {
    let within = |text: &str, shared, width| {
        let [elided, whole] =
            [true, false].map(|elides| from_within(text, &End { shared, elides }, width));
        (elided, whole)
    };
    let shown = |width| within("/mnt/ext4/a/live", 7, width).0;
    assert_eq!([shown(13), shown(12), shown(11)], ["…/ext4/a/live", "ext4/…/live", "ext4/…/live"]);
    assert_eq!([shown(10), shown(7)], ["…/ext4/a/…", "ext4/a…"]);
    assert_eq!(within("/mnt/ext4/live", 5, 10).0, "ext4/live");
    let europe = within("/srv/europe/a/b/c/live.mmdb", 16, 20);
    assert_eq!(europe, ("…/europe/…/live.mmdb".to_owned(), "…/europe/a/b/c/live…".to_owned()));
}

#[test]
fn what_is_told_apart_by_the_middle_keeps_it() {
    let paths = [
        "/exports/alpha/shared/conf/live.db",
        "/exports/beta/shared/conf/live.db",
        "/mnt/x/alpha/kept/conf/live.db",
        "/mnt/x/gamma/kept/conf/live.db",
    ];
    let ends = ends_apart(BTreeSet::from(paths), 20);
    let shown = paths.map(|path| from_within(path, &ends[path], 20));
    assert_eq!(BTreeSet::from(shown.clone()).len(), paths.len(), "{shown:?}");
    assert_eq!(shown[1], "…/beta/…/live.db");
}

/// What must not be left out is cut below what it should have, and at last the gap.
#[test]
fn no_line_is_wider_than_it_may_be() {
    let columns = [Column::flexible("SOMETHING", 9); 12];
    let row = vec![Cell::plain("something"); 12];
    for width in [40, 60, 80] {
        let layout = Layout::new(&columns, &[], std::slice::from_ref(&row), Some(width));
        let style = style(false);
        for line in [layout.head(&style), layout.row(&row, &style)] {
            assert!(line.trim_end().width() <= width, "{width}: {line}");
        }
    }
}
