//! The form that the tables under `data/` share, so that a new ATT&CK release is a readable diff.
//!
//! Lines that start with `#` tell the origin, the first other line names the columns, `;` separates
//! the members of a list, and an empty cell is written `-`: editors that trim line ends cannot
//! break a row.

const EMPTY: &str = "-";

/// The rows of a table, without its comments and its heading.
pub(crate) fn rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#')).skip(1)
}

/// The cells of a row, or `None` if it has not exactly `N` of them.
pub(crate) fn cells<const N: usize>(row: &'static str) -> Option<[&'static str; N]> {
    row.split('\t').collect::<Vec<_>>().try_into().ok()
}

/// A cell that may be empty.
pub(crate) fn optional(cell: &'static str) -> Option<&'static str> {
    (cell != EMPTY).then_some(cell)
}

/// The members of a cell that holds a list, which may be empty.
pub(crate) fn list(cell: &'static str) -> impl Iterator<Item = &'static str> {
    optional(cell).into_iter().flat_map(|list| list.split(';'))
}

/// Asserts that every row of `table` parses. In production a row that does not is left out, since a
/// library must not panic over its own data; this is what keeps that from ever happening.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_all_parse<T>(
    table: &'static str,
    rows_expected: usize,
    parse: impl Fn(&'static str) -> Option<T>,
) {
    for row in rows(table) {
        assert!(parse(row).is_some(), "this row does not parse: {row}");
    }
    assert_eq!(rows(table).count(), rows_expected);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# origin\nid\tlist\nT1\ta;b\nT2\t-\n";

    #[test]
    fn comments_and_heading_are_no_rows() {
        assert_eq!(rows(TABLE).collect::<Vec<_>>(), ["T1\ta;b", "T2\t-"]);
    }

    #[test]
    fn a_row_has_exactly_its_columns() {
        assert_eq!(cells::<2>("T1\ta"), Some(["T1", "a"]));
        assert_eq!(cells::<2>("T1"), None);
        assert_eq!(cells::<2>("T1\ta\tb"), None);
    }

    #[test]
    fn a_dash_is_an_empty_cell() {
        assert_eq!(list("a;b").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(list("-").count(), 0);
        assert_eq!(optional("-"), None);
    }
}
