//! Where a workflow lives: its id, its partition, its run.

use std::sync::Arc;

use hansom_core::Timestamp;
pub(crate) use hansom_core::is_id;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A fixed slice of all workflows.
pub(crate) type Part = i32;

/// How many partitions a database has unless it is told otherwise.
pub(crate) const PARTITIONS: i32 = 256;

/// The only namespace until there are keys to tell them apart.
pub(crate) const NAMESPACE: &str = "default";

/// One run, and how to find its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) part: Part,
    pub(crate) run: Uuid,
    pub(crate) namespace: Arc<str>,
    pub(crate) workflow_id: Arc<str>,
    /// Which execution of the workflow id, from 1.
    pub(crate) run_no: i32,
}

/// The partition of a workflow: the first four bytes of SHA-256 of
/// `namespace NUL workflow_id`, as a big-endian number, modulo `partitions`.
///
/// Frozen for the life of every database. In SQL:
/// `(('x' || encode(substr(sha256(convert_to(namespace, 'UTF8') || '\x00' ||
/// convert_to(workflow_id, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint & 4294967295) % partitions`.
pub(crate) fn part_of(namespace: &str, workflow_id: &str, partitions: i32) -> Part {
    let hash = Sha256::new()
        .chain_update(namespace)
        .chain_update([0])
        .chain_update(workflow_id)
        .finalize();
    let head = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let part = head % u32::try_from(partitions).expect("a database has partitions");
    Part::try_from(part).expect("a partition is below the number of partitions")
}

/// The run that another run brings about at `at` with its command number `command`: the same
/// whenever it is asked. A UUID of version 7, so that lists stay in order of time; its
/// other bits are the first of SHA-256 of the run and the number.
pub(crate) fn descendant(run: Uuid, command: u32, at: Timestamp) -> Uuid {
    let hash = Sha256::new().chain_update(run).chain_update(command.to_be_bytes()).finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_frozen() {
        let parts: Vec<_> = ["taxisvc.call.1", "a", "trip-42"]
            .iter()
            .map(|id| part_of(NAMESPACE, id, 256))
            .collect();
        assert_eq!(parts, FROZEN);
    }

    const FROZEN: [Part; 3] = [8, 62, 139];

    #[test]
    fn a_descendant_is_always_the_same_and_never_another_s() {
        let run = Uuid::from_u128(7);
        let at = Timestamp(1_700_000_000_123_456);
        let child = descendant(run, 3, at);
        assert_eq!(child, descendant(run, 3, at));
        assert_ne!(child, descendant(run, 4, at));
        assert_ne!(child, descendant(Uuid::from_u128(8), 3, at));
        assert_eq!(child.get_version_num(), 7);
        assert_eq!(child.as_u128() >> 80, 1_700_000_000_123);
    }

    #[test]
    fn an_id_is_short_and_plain() {
        assert!(is_id("taxisvc.call:1_2-x".replace('_', ".").as_str()));
        for id in ["", "a/b", "a b", "a\n", "é", "\u{202e}a"] {
            assert!(!is_id(id), "{id:?}");
        }
        assert!(is_id(&"x".repeat(255)) && !is_id(&"x".repeat(256)));
    }
}
