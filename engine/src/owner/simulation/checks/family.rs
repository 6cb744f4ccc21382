//! What must hold between runs: parents and children, and runs that follow one another.

use std::collections::BTreeMap;

use hansom_core::{Cause, ChildOutcome, ParentClose};

use super::super::database::{Database, Row};
use super::super::tally::Tally;
use super::Library;
use super::books::{Books, End, key};

/// Panics where a run and its kin do not say the same.
pub(super) fn check(database: &Database, library: &Library, row: &Row, tally: &mut Tally) {
    let books = &library[&row.address.run];
    for (seq, (start, outcome)) in &books.children {
        let born = |of: &Books| {
            let parent = of.birth.parent.as_ref();
            let mine = parent.is_some_and(|parent| parent.run == books.run && parent.seq == *seq);
            mine && of.birth.continued.is_none()
        };
        let born: Vec<_> = database.rows().filter(|r| born(&library[&r.address.run])).collect();
        assert!(born.len() <= 1, "a child is started once: {seq:?}");
        let Some(child) = born.first() else {
            let part =
                crate::address::part_of("default", &start.workflow_id, super::super::PARTITIONS);
            let taken = database.latest(part, &start.workflow_id).is_some();
            let alone = start.on_parent_close == ParentClose::Abandon;
            let ended = books.cancelled.contains(seq) || (outcome.is_none() && !alone);
            assert!(taken || ended, "{seq:?} is not started");
            tally.saw_times("a child never begins", usize::from(!taken));
            let heard = outcome.as_ref().is_none_or(|heard| *heard == ChildOutcome::Taken {});
            assert!(heard, "{seq:?} never was");
            tally.saw(if outcome.is_some() { "a child's id is taken" } else { "and nobody hears" });
            continue;
        };
        assert_eq!(&*child.address.workflow_id, start.workflow_id);
        let last = last_of(database, library, child);
        assert_eq!(library[&child.address.run].birth.input.as_ref(), Some(&start.input));
        match outcome {
            Some(heard) => reported(last, heard, tally),
            None => outlived(last, start.on_parent_close, tally),
        }
    }
    if let Some(End::Continued(input)) = &books.end {
        goes_on(database, library, row, input);
        tally.saw("continued");
    }
}

/// The last of the runs that follow one another from here.
fn last_of<'a>(database: &Database, library: &'a Library, first: &Row) -> &'a Books {
    let mut row = first;
    loop {
        let books = &library[&row.address.run];
        let Some(End::Continued(_)) = books.end else { return books };
        row = database.execution(&row.address, row.address.run_no + 1).unwrap();
    }
}

/// A parent has heard what its child says itself.
fn reported(child: &Books, heard: &ChildOutcome, tally: &mut Tally) {
    let same = match (heard, &child.end) {
        (ChildOutcome::Completed { output, owed }, Some(End::Completed(own))) => {
            tally.saw("a child completes");
            let from_afar = |owed| key(owed).0 != child.run;
            if owed.iter().any(from_afar) {
                tally.saw("a child leaves what others left to it");
            }
            output == own && *owed == child.undos.left
        }
        (ChildOutcome::Failed { error }, Some(End::Closed)) => {
            tally.saw("a child fails");
            matches!(&child.cause, Some(Cause::Failed { error: own }) if own == error)
        }
        (ChildOutcome::Cancelled {}, Some(End::Closed)) => {
            tally.saw("a child is cancelled");
            matches!(child.cause, Some(Cause::Cancelled | Cause::DeadlinePassed))
        }
        (ChildOutcome::Terminated {}, Some(End::Terminated)) => {
            tally.saw("a child is terminated");
            true
        }
        _ => false,
    };
    assert!(same, "its parent heard {heard:?} of {child:#?}");
}

/// A child that was open when its parent closed.
fn outlived(child: &Books, close: ParentClose, tally: &mut Tally) {
    tally.saw(match (close, &child.end, &child.cause) {
        (ParentClose::Cancel, Some(End::Closed), Some(Cause::Cancelled)) => {
            "a child is cancelled when its parent closes"
        }
        (ParentClose::Terminate, Some(End::Terminated), _) => {
            "a child is terminated when its parent closes"
        }
        (ParentClose::Abandon, Some(End::Completed(_)), _) => "a child goes on alone",
        _ => "a child ends by itself after its parent",
    });
}

/// A run that went on is followed by one other, that has all it left.
fn goes_on(database: &Database, library: &Library, row: &Row, input: &hansom_core::Payload) {
    let books = &library[&row.address.run];
    let follows = |of: &&Books| {
        of.birth.continued.as_ref().is_some_and(|continued| continued.run == books.run)
    };
    assert_eq!(library.values().filter(follows).count(), 1, "one run follows it");
    let heir = database.execution(&row.address, row.address.run_no + 1).unwrap();
    let heir = &library[&heir.address.run];
    assert!(follows(&heir), "the next run of its id");
    assert_eq!(heir.birth.input.as_ref(), Some(input));
    assert_eq!(heir.birth.parent, books.birth.parent);
    assert_eq!(heir.birth.deadline, books.birth.deadline);
    let owed = heir.birth.continued.as_ref().map(|continued| &continued.owed);
    assert_eq!(owed, Some(&books.undos.left));
    let taken = |id: &String| books.mail.taken.contains(&id.parse().unwrap());
    goes_along(&books.mail.signals, taken, &heir.mail.signals);
    goes_along(&books.mail.updates, |id| books.mail.answered.contains(id), &heir.mail.updates);
}

/// What nobody took is what the next run hears first.
fn goes_along(mail: &[String], taken: impl Fn(&String) -> bool, next: &[String]) {
    let left: Vec<_> = mail.iter().filter(|id| !taken(id)).collect();
    let heard: Vec<_> = next.iter().take(left.len()).collect();
    assert_eq!(heard, left, "what nobody took goes along");
}

/// What follows one another is one workflow to those who speak to it.
pub(super) fn chains(database: &Database, library: &Library, tally: &mut Tally) {
    for first in database.rows().filter(|r| library[&r.address.run].birth.continued.is_none()) {
        let _scene = super::Scene(first, database.history(first.address.run));
        let (mut row, mut labels) = (first, BTreeMap::new());
        let (mut taken, mut answered) = (Vec::<u64>::new(), Vec::<String>::new());
        let mut length = 1;
        loop {
            let books = &library[&row.address.run];
            taken.extend(&books.mail.taken);
            answered.extend(books.mail.answered.clone());
            labels.extend(books.labels.clone());
            assert_eq!(labels, row.labels, "labels are what was said");
            if !matches!(books.end, Some(End::Continued(_))) {
                break;
            }
            row = database.execution(&row.address, row.address.run_no + 1).unwrap();
            length += 1;
            if library[&row.address.run].birth.events > 1 {
                tally.saw("a message goes along");
            }
        }
        if length > 2 {
            tally.saw("and again");
        }
        if length > 1 && library[&row.address.run].birth.parent.is_some() {
            tally.saw("a child goes on in another run");
        }
        for (n, heard) in taken.iter().enumerate() {
            assert!(!taken[..n].contains(heard), "ping {heard} is taken twice");
            tally.saw("a signal is taken");
        }
        for (n, update) in answered.iter().enumerate() {
            assert!(!answered[..n].contains(update), "query {update} is answered twice");
            tally.saw("an update is answered");
        }
    }
}
