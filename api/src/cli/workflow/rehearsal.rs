//! A stored history as the code of a test.

use std::fmt::Write as _;

use hansom_core::testing::History;

use super::export::Described;

/// The whole file.
pub(super) fn code(
    id: &str,
    described: &Described,
    history: &History,
    rust_type: Option<&str>,
) -> String {
    let known = hansom_workflows::all().get(&history.workflow).map(|kind| kind.rust_type);
    let path = rust_type.or(known);
    let name = path.map_or_else(|| camel(&history.workflow), last);
    let import = path.map_or_else(
        || format!("use crate::{name}; // the workflow `{}`: say where it is\n", history.workflow),
        |path| format!("use {path};\n"),
    );
    let (run, status) = (described.run, &described.status);
    let was = match &described.stuck {
        Some(stuck) => format!("{status} ({})", stuck.reason),
        None => status.clone(),
    };
    let mut code = format!(
        "//! The run {run} of `{id}`, as it was stored when it was {was}.\n\
         //!\n\
         //! Written by `hansom workflow export {id} --as-test`. It holds as long as the body agrees\n\
         //! with this history, and else says what history has and what the code asks for.\n\n"
    );
    let core = "use hansom_core::testing::Golden;\n";
    let mut imports = [core, &import];
    imports.sort_unstable();
    code.extend(imports);
    // Writing to a String does not fail.
    let _ = write!(
        code,
        "\n#[test]\nfn {}_agrees_with_its_history() {{\n    \
         Golden::<{name}>::parse(HISTORY).replay();\n}}\n\n\
         pub(crate) const HISTORY: &str = {};\n",
        snake(id),
        literal(&history.to_string())
    );
    code
}

/// The name of a type without its path.
fn last(path: &str) -> String {
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

/// `taxi_call` as `TaxiCall`.
fn camel(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

/// An id as the name of a function.
fn snake(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = id.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("workflow_{name}") } else { name }
}

/// Text as the compiler reads it back: raw where that can be.
fn literal(text: &str) -> String {
    // Outside of strings JSON has them for space only, and in none of them.
    let text = text.replace('\r', " ");
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(turns) {
        return format!("\"{}\"", text.escape_debug());
    }
    let mut hashes = String::from("#");
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_cannot_leave_its_literal() {
        assert_eq!(literal("{\"a\":1}"), "r#\"{\"a\":1}\"#");
        assert_eq!(literal("\"#\"##x"), "r###\"\"#\"##x\"###");
        assert_eq!(literal("{\r\n}"), "r#\"{ \n}\"#");
        assert_eq!(literal("\"a\u{202e}\""), "\"\\\"a\\u{202e}\\\"\"");
    }

    #[test]
    fn names_are_names_in_rust() {
        assert_eq!(camel("taxi_call"), "TaxiCall");
        assert_eq!(camel("move.order"), "MoveOrder");
        assert_eq!(last("a::b::Trip"), "Trip");
        assert_eq!(snake("taxisvc.call.1"), "taxisvc_call_1");
        assert_eq!(snake("7-B"), "workflow_7_b");
    }
}
