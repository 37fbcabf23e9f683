//! Columns of text, aligned by their width on a terminal.

use std::fmt;

use unicode_width::UnicodeWidthStr;

/// A table: a title above the first column, which stands to the left; all others stand to the right.
pub(super) struct Grid {
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub fn new(title: String) -> Grid {
        Grid { rows: vec![vec![title]] }
    }

    /// The heads of the other columns.
    pub fn columns(&mut self, heads: impl IntoIterator<Item = String>) {
        if let Some(head) = self.rows.first_mut() {
            head.extend(heads);
        }
    }

    pub fn row(&mut self, name: String, cells: impl IntoIterator<Item = String>) {
        self.rows.push([name].into_iter().chain(cells).collect());
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let cell = |row: &'_ [String], column: usize| row.get(column).map_or(0, |cell| cell.width());
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| cell(row, column)).max().unwrap_or_default())
            .collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
                let blank = " ".repeat(width - text.width());
                line += &if column == 0 { format!("{text}{blank}") } else { format!("  {blank}{text}") };
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 {
                let rule: usize = widths.iter().sum::<usize>() + 2 * (columns - 1);
                writeln!(f, "{}", "─".repeat(rule))?;
            }
        }
        Ok(())
    }
}

/// A name from outside without characters that a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}
