//! Where a page ended, sealed against another list's filters.

use hansom_engine::Filter;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::kinds;
use super::problem::{Problem, echo};

/// How many hexadecimal digits of the seal are kept: enough against mistakes; a cursor is no secret.
const SEAL: usize = 8;

/// The cursor for the page after `last`, with these filters only.
pub(crate) fn seal(last: &str, filter: &Filter) -> String {
    let last = last.replace('-', "");
    let seal = digest(&last, filter);
    format!("{last}{seal}")
}

/// The run that the page before ended with.
pub(crate) fn open(cursor: &str, filter: &Filter) -> Result<Uuid, Problem> {
    let parts = cursor.split_at_checked(32).filter(|(_, seal)| seal.len() == SEAL);
    let run = parts.and_then(|(last, seal)| {
        (digest(last, filter) == seal).then(|| Uuid::try_parse(last).ok()).flatten()
    });
    run.filter(|run| !run.is_nil()).ok_or_else(|| {
        let detail = format!(
            "{} is not the `next` of a page with the same filters; start without a cursor",
            echo(cursor)
        );
        Problem::new(kinds::PAGE_CURSOR, detail).field("cursor")
    })
}

fn digest(last: &str, filter: &Filter) -> String {
    let filters = (
        &filter.workflow_type,
        filter.status,
        filter.undo,
        &filter.labels,
        filter.started_after,
        filter.started_before,
    );
    let filters = serde_json::to_vec(&filters).expect("filters are texts and times");
    let digest = Sha256::new().chain_update(last).chain_update(filters).finalize();
    let (start, _) = digest.split_at(SEAL / 2);
    start.iter().fold(String::with_capacity(SEAL), |seal, byte| seal + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_with_the_filters_it_was_made_for() {
        let filter = Filter::default();
        let run = Uuid::now_v7();
        let cursor = seal(&run.to_string(), &filter);
        assert_eq!(open(&cursor, &filter).unwrap(), run);
        let other = Filter { workflow_type: Some("trip".to_owned()), ..Filter::default() };
        assert_eq!(open(&cursor, &other).unwrap_err().kind.code, "page.cursor");
        for bad in ["", "not-a-uuid", "é", &cursor[1..], &run.to_string(), &"0".repeat(40)] {
            assert_eq!(open(bad, &filter).unwrap_err().kind.code, "page.cursor", "{bad}");
        }
    }
}
