//! What views say of the saga, and rows that are made anew while its owners write.

use std::sync::Arc;

use hansom_core::{
    Activity, Event, Fact, Fold, Ledger, Patch, Timestamp, View, ViewFault, ViewRow, ViewType,
    Workflow,
};

use super::World;
use super::contracts::{Act, Doubt, Far, Note, Ping, Query, Unact, Unfar};
use super::database::Database;
use super::saga::Saga;
use super::tally::Tally;
use crate::address::Address;

/// Writes down all that it is told.
pub(super) struct Diary;
impl View for Diary {
    const NAME: &'static str = "diary";
    type Workflow = Saga;
    fn key(steps: &<Saga as Workflow>::Input) -> i64 {
        i64::try_from(steps.len()).unwrap()
    }
    fn start(steps: &<Saga as Workflow>::Input) -> Patch {
        Patch::new().set("steps", steps.len()).set("told", [""; 0])
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let mut told: Vec<String> = fact.field("told")?;
        told.push(line(fact)?);
        Some(Patch::new().set("told", told))
    }
}

/// Hears of nothing but the end.
pub(super) struct Ends;
impl View for Ends {
    const NAME: &'static str = "ends";
    type Workflow = Saga;
    fn key(_: &<Saga as Workflow>::Input) -> i64 {
        0
    }
    fn start(_: &<Saga as Workflow>::Input) -> Patch {
        Patch::new().set("end", None::<String>)
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        Some(Patch::new().set("end", fact.closed()?).set("at", fact.at()))
    }
}

fn line(fact: &Fact<'_>) -> Option<String> {
    let ends = [end_of::<Act>, end_of::<Doubt>, end_of::<Far>, end_of::<Note>];
    let undos = [end_of::<Unact>, end_of::<Unfar>];
    let end = ends.iter().chain(&undos).find_map(|end| end(fact));
    end.or_else(|| fact.signal::<Ping>().map(|ping| format!("ping {}", ping.0)))
        .or_else(|| fact.update::<Query>().map(|query| format!("query {}", query.0)))
        .or_else(|| fact.closed().map(|status| format!("{status:?}")))
}

fn end_of<A: Activity>(fact: &Fact<'_>) -> Option<String> {
    let said = |what: &str| format!("{what} {}", A::NAME);
    let done = fact.done::<A>().map(|_| said("done"));
    done.or_else(|| fact.refused::<A>().map(|_| said("refused")))
        .or_else(|| fact.given_up::<A>().map(|_| said("given up")))
        .or_else(|| fact.undone::<A>().map(|_| said("undone")))
}

/// The rows of a run with this history.
pub(super) fn folded(history: &[(Timestamp, Vec<Event>)]) -> (Vec<ViewRow>, u32) {
    let views: Arc<[_]> = [ViewType::of::<Diary>(), ViewType::of::<Ends>()].into();
    let (mut fold, mut ledger) = (Fold::new(views), Ledger::default());
    for (at, events) in history {
        assert_eq!(fold.recall(&mut ledger, (*at, events)), Vec::<ViewFault>::new());
    }
    fold.settle();
    (fold.rows().cloned().collect(), ledger.events())
}

/// Rows of one run that somebody has read its history for, and not written yet.
pub(super) struct Rebuilding {
    address: Arc<Address>,
    rows: Vec<ViewRow>,
    read: u32,
}

impl World {
    /// Somebody makes rows anew: reads, and writes what came of that some time later.
    pub(super) fn rebuild(&mut self) {
        if let Some(Rebuilding { address, rows, read }) = self.rebuilding.take() {
            for row in rows {
                let put = self.database.put_row(&address, row, read);
                let what = if put { "a row is made anew" } else { "a row is made anew too late" };
                self.tally.saw(what);
            }
            return;
        }
        let count = self.database.rows().count();
        if count > 0 {
            let nth = rand::RngExt::random_range(&mut self.random, 0..count);
            let address = Arc::clone(&self.database.rows().nth(nth).unwrap().address);
            let (rows, read) = folded(self.database.history(address.run));
            self.rebuilding = Some(Rebuilding { address, rows, read });
        }
    }
}

/// Every workflow has its rows, and they are what the history of its newest run adds up to.
pub(super) fn check(database: &Database, tally: &mut Tally) {
    for row in database.rows() {
        let last = database.latest(row.address.part, &row.address.workflow_id);
        database.is_shown(&last.unwrap().address);
    }
    tally.saw_times("a row changes hands", database.views.handed_on);
    tally.saw_times("a row begins anew", database.views.begun_anew);
}
