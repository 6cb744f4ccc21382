//! What must hold of every history, once all is quiet.

mod books;
mod family;

use std::collections::{BTreeMap, BTreeSet};

use hansom_core::{
    Activity, Event, Ledger, Machine, Seq, Status, StuckReason, Timestamp, UndoStatus,
};
use uuid::Uuid;

use super::contracts::{Far, Unfar};
use super::database::{Database, Row};
use super::services::{Effect, Services};
use super::tally::Tally;
use super::views;
use crate::Registry;
use books::{Books, End, Ended};

/// The books of all runs.
pub(super) type Library = BTreeMap<Uuid, Books>;

/// Says which run it was.
struct Scene<'a>(&'a Row, &'a [(Timestamp, Vec<Event>)]);

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(row, history) = self;
            eprintln!("{:?} {:?} {:?} {history:#?}", row.address, row.cached, row.labels);
        }
    }
}

/// Panics where a run breaks a promise.
pub(super) fn check(
    database: &Database,
    registry: &Registry,
    services: &Services,
    tally: &mut Tally,
) {
    let mut library = Library::new();
    for row in database.rows() {
        let history = database.history(row.address.run);
        let _scene = Scene(row, history);
        let books = read(registry, row, history);
        fits(row, history, &books);
        replays(registry, row, history);
        library.insert(row.address.run, books);
    }
    for row in database.rows() {
        let _scene = Scene(row, database.history(row.address.run));
        family::check(database, &library, row, tally);
    }
    family::chains(database, &library, tally);
    views::check(database, tally);
    effects(&library, services);
    count(&library, tally);
}

fn read(registry: &Registry, row: &Row, history: &[(Timestamp, Vec<Event>)]) -> Books {
    let mut books = Books::new(&row.address);
    let mut ledger = Ledger::default();
    let mut tries = Tries::default();
    for (at, events) in history {
        for event in events {
            books.see(event, *at);
            made(event, &ledger, *at);
            tries.count(event, &ledger, registry);
            ledger.apply(event, *at);
        }
    }
    books.birth.events = history[0].1.len();
    books
}

/// What fails or is lost was made: it is the attempt that was due.
fn made(event: &Event, before: &Ledger, at: Timestamp) {
    if let Event::AttemptFailed { seq, attempt, .. }
    | Event::HeldBack { seq, attempt, .. }
    | Event::AttemptLost { seq, attempt } = event
    {
        let running = &before.running()[seq];
        assert_eq!(running.attempt, *attempt, "attempts are counted one by one");
        let early = running.held > 0 && !matches!(event, Event::HeldBack { .. });
        let due = early || running.retry_at.is_none_or(|due| due <= at);
        assert!(due, "it was not due: {event:?}");
        let lost = matches!(event, Event::AttemptLost { .. });
        let far = [Far::NAME, Unfar::NAME].contains(&running.call.activity.as_str());
        assert!(!(lost && far), "an attempt elsewhere is not lost with its owner: {event:?}");
    }
}

/// Attempts of each step that came to nothing, and of those the ones that were lost; since it
/// began, or began anew.
#[derive(Default)]
struct Tries(BTreeMap<Seq, (u32, u32)>);

impl Tries {
    fn count(&mut self, event: &Event, before: &Ledger, registry: &Registry) {
        let (seq, lost) = match event {
            Event::AttemptFailed { seq, .. } => (seq, 0),
            Event::AttemptLost { seq, .. } => (seq, 1),
            Event::Retried { .. } => return self.0.retain(|seq, _| !before.running()[seq].parked),
            Event::Verifying { seq, .. }
            | Event::Done { seq, .. }
            | Event::Unknown { seq, .. }
            | Event::Refused { seq, .. }
            | Event::NotDone { seq, .. } => {
                self.0.remove(seq);
                return;
            }
            _ => return,
        };
        let tries = self.0.entry(*seq).or_default();
        *tries = (tries.0 + 1, tries.1 + lost);
        let most = registry.options(&before.running()[seq], before.pivoted()).retry;
        let last = lost == 0 && most.maximum_attempts > 0 && tries.0 >= most.maximum_attempts;
        assert!(!last, "that was the last try: {event:?}");
        assert!(tries.1 < 5, "it is poison: {event:?}");
    }
}

/// The row is its history.
fn fits(row: &Row, history: &[(Timestamp, Vec<Event>)], books: &Books) {
    let mut ledger = Ledger::default();
    let all = history.iter().flat_map(|(at, events)| events.iter().map(|event| (*at, event)));
    all.for_each(|(at, event)| ledger.apply(event, at));
    let status = ledger.status();
    assert_eq!(row.cached.status, status);
    let undo = match status {
        Status::Running => UndoStatus::None,
        _ => ledger.undo_status(),
    };
    assert_eq!(row.cached.undo, undo);
    let closed_at = history.last().filter(|_| status.is_closed()).map(|(at, _)| *at);
    assert_eq!(row.cached.closed_at, closed_at);
    let told = match &books.end {
        Some(End::Completed(_)) => status == Status::Completed,
        Some(End::Closed) => matches!(status, Status::Failed | Status::Cancelled),
        Some(End::Terminated) => status == Status::Terminated,
        Some(End::Continued(_)) => status == Status::Continued,
        None => !status.is_closed(),
    };
    assert!(told && status.is_closed(), "it has come to its end");
}

/// Whatever part of it was there, the body fits it.
fn replays(registry: &Registry, row: &Row, history: &[(Timestamp, Vec<Event>)]) {
    let kind = registry.workflow(&row.workflow_type);
    let mut ledger = Ledger::default();
    for (count, (at, events)) in (1..).zip(history) {
        for event in events {
            ledger.apply(event, *at);
        }
        let part = history[..count].iter().cloned();
        let replayed = Machine::replay(kind, row.address.run.as_u128(), part);
        assert_eq!(replayed.fault(), None, "{count} rows of it replay");
        assert_eq!(replayed.ledger().status(), ledger.status(), "{count} rows of it replay");
        assert_eq!(replayed.ledger().alarms(), ledger.alarms(), "{count} rows of it replay");
    }
}

/// What services have done is what histories say.
fn effects(library: &Library, services: &Services) {
    let of_all = |keys: fn(&Books) -> &Vec<_>| library.values().flat_map(keys).collect::<Vec<_>>();
    let paid = of_all(|books| &books.undos.paid);
    let tried: BTreeSet<_> = of_all(|books| &books.undos.tried).into_iter().collect();
    let once: BTreeSet<_> = paid.iter().collect();
    assert_eq!(once.len(), paid.len(), "what is undone is undone once: {paid:#?}");
    for (key, effect) in services.effects() {
        let run: Uuid = key.0.parse().unwrap();
        let ended = library[&run].acts[&key.1].ended;
        let fits = match effect {
            Effect::Void => tried.contains(key),
            _ if paid.contains(&key) => false,
            Effect::Done => ended != Some(Ended::Not),
            Effect::Nothing | Effect::Refused | Effect::Excluded => ended != Some(Ended::Done),
        };
        assert!(fits, "{key:?} is {effect:?}, and history has {ended:?}");
    }
}

fn count(library: &Library, tally: &mut Tally) {
    for books in library.values() {
        books.seen.iter().for_each(|seen| tally.saw(seen));
        for reason in &books.stuck {
            tally.saw(match reason {
                StuckReason::UndoExhausted => "stuck: undo exhausted",
                StuckReason::Poison => "stuck: poison",
                StuckReason::Panic => "stuck: panic",
                StuckReason::OutcomeUnknown => "stuck: outcome unknown",
                reason => panic!("stuck: {reason:?}"),
            });
        }
    }
}
