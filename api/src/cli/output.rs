//! Data on stdout: a reader that went away ends the program quietly.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::{CliError, Exit};

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; the same on and off a terminal.
    #[default]
    Table,
    /// The API's own bytes.
    Json,
    /// One item per line.
    Jsonl,
    /// Only ids, one per line.
    Ids,
}

/// Prints bytes as they are, and ends the line.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let end: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\n" };
    let written = stdout.write_all(bytes).and_then(|()| stdout.write_all(end));
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        // As the shell's own tools do when `head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CliError::unheard()),
        Err(error) => {
            Err(CliError::new(Exit::Unexpected, "cannot write the answer").cause(error.to_string()))
        }
    }
}

/// Prints a value of ours as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let json = serde_json::to_vec(value).map_err(|error| {
        CliError::new(Exit::Unexpected, "the answer has no JSON form").cause(error.to_string())
    })?;
    bytes(&json)
}

/// Prints one line.
pub(crate) fn line(text: &str) -> Result<(), CliError> {
    bytes(text.as_bytes())
}

/// Something for people beside the data.
pub(crate) fn note(text: &str) {
    // Where nobody listens any more, there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints rows under a header: no lines around them, as wide as the terminal at most.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> Result<(), CliError> {
    let mut table = Table::new();
    let is_terminal = io::stdout().is_terminal();
    table.set_content_arrangement(if is_terminal {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    line(&render(table, header, rows).join("\n"))
}

fn render(mut table: Table, header: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Text that cannot steer the terminal: control and direction characters are shown as escapes.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let wide =
            |line: &str| line.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum::<u16>();
        let long = "there is no driver anywhere near the place where the rider waits";
        let row =
            ["taxisvc.call.1", "taxi_call", "compensating", long, "택시 호출이 취소되었습니다"];
        let rows = vec![row.map(str::to_owned).to_vec(); 3];
        for columns in [50, 80, 120, 300] {
            let mut table = Table::new();
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
            let lines = render(table, &["workflow", "type", "status", "why", "what"], rows.clone());
            assert!(lines.iter().all(|line| wide(line) <= columns), "{columns}: {lines:#?}");
            assert_eq!(lines.len() == 4, columns == 300, "what fits is not wrapped: {lines:#?}");
        }
    }

    #[test]
    fn a_payload_cannot_steer_the_terminal() {
        assert_eq!(plain("\u{1b}[31mred\r\n\u{202e}x 택시"), r"\u{1b}[31mred\r\n\u{202e}x 택시");
    }
}
