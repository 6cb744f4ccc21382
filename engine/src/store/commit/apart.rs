//! Taking a batch apart that the database refuses: by run, because all that a batch carries of
//! one run stands or falls together, and nothing of it needs what it carries of another.

use std::collections::HashSet;

use hansom_core::{Event, Status, StuckReason};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{AlarmsDropped, AlarmsSet, Columns, Consumed, History, Keys, Started, Updated};
use crate::address::Part;
use crate::owner::{Cached, first_row};
use crate::store::workflow::Row;

/// So many characters of what the database says are kept.
const DETAIL: usize = 2_000;

/// Rows of some runs.
struct Only<'a>(&'a HashSet<Uuid>);

/// What runs say to others, by who says it.
#[derive(Default, Serialize, Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    children: Vec<&'a RawValue>,
    #[serde(borrow)]
    heirs: Vec<&'a RawValue>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// Whose a row is that is carried as JSON: a view's, a child's, an heir's, a message's.
#[derive(Deserialize)]
struct Whose {
    run: Uuid,
    parent_run: Option<Uuid>,
    before: Option<Uuid>,
    sender: Option<Uuid>,
}

/// Where the history of a run goes on in a batch: partition, run, event.
pub(crate) type Beginning = (Part, Uuid, i32);

impl Columns {
    /// The number behind the fence.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// All runs that it has anything of, each once.
    pub(crate) fn runs(&self) -> Vec<Uuid> {
        let of = [
            &self.started.keys.run,
            &self.history.run,
            &self.updated.keys.run,
            &self.alarms_set.keys.run,
            &self.alarms_dropped.run,
            &self.consumed.run,
        ];
        let (told, views) = (self.told(), self.views());
        let said = told.children.iter().chain(&told.heirs).chain(&told.messages).chain(&views);
        let mut seen = HashSet::new();
        let all = of.into_iter().flatten().copied().chain(said.filter_map(|row| actor(row)));
        all.filter(|run| seen.insert(*run)).collect()
    }

    /// What it has of these runs, as batch `number`.
    pub(crate) fn only(&self, runs: &[Uuid], number: i64) -> Self {
        let runs = runs.iter().copied().collect();
        let only = Only(&runs);
        let (told, views) = (self.told(), only.said(self.views()));
        let told = Told {
            children: only.said(told.children),
            heirs: only.said(told.heirs),
            messages: only.said(told.messages),
        };
        let silent = told.children.is_empty() && told.heirs.is_empty() && told.messages.is_empty();
        Self {
            number,
            started: only.started(&self.started),
            history: only.history(&self.history),
            updated: only.updated(&self.updated),
            alarms_set: only.alarms_set(&self.alarms_set),
            alarms_dropped: only.alarms_dropped(&self.alarms_dropped),
            consumed: only.consumed(&self.consumed),
            kin: (!silent).then(|| json(&told)),
            views: (!views.is_empty()).then(|| json(&views)),
            hint: self.hint.clone(),
        }
    }

    /// Of a batch that has one run: where its history goes on. Nothing of a run that would only
    /// begin in this batch, or has no news.
    pub(crate) fn beginning(&self) -> Option<Beginning> {
        let History { part, run, event, .. } = &self.history;
        let rows = part.iter().zip(run).zip(event);
        let rows = rows.map(|((part, run), event)| (*part, *run, *event));
        rows.min_by_key(|(.., event)| *event).filter(|_| self.started.keys.run.is_empty())
    }

    /// In place of what the database refuses of a run: that it is stuck, from event `event` on.
    /// Its owner finds it hot, and puts its row in order.
    pub(crate) fn parking(&self, row: &Row, event: i32, error: &sqlx::Error) -> Self {
        let (address, mut parking) =
            (row.address(), Self { number: self.number, ..Self::default() });
        let error: String = error.to_string().chars().take(DETAIL).collect();
        let detail = format!("the database refuses what it writes: {error}");
        let stuck = Event::Stuck { reason: StuckReason::Poison, detail, seq: None };
        let at = self.history.at.iter().min().copied().unwrap_or_default();
        parking.history.push((row.part, row.run), event, at, first_row(&[stuck]));
        let cached = Cached { status: Status::Stuck, hot: true, ..row.cached() };
        parking.updated.push(&address, cached, None);
        parking
    }

    fn told(&self) -> Told<'_> {
        self.kin.as_deref().map(parsed).unwrap_or_default()
    }

    fn views(&self) -> Vec<&RawValue> {
        self.views.as_deref().map(parsed).unwrap_or_default()
    }
}

impl Only<'_> {
    fn of<T: Clone>(&self, runs: &[Uuid], column: &[T]) -> Vec<T> {
        let rows = runs.iter().zip(column).filter(|(run, _)| self.0.contains(run));
        rows.map(|(_, value)| value.clone()).collect()
    }

    fn said<'a>(&self, rows: Vec<&'a RawValue>) -> Vec<&'a RawValue> {
        let mine = |row: &&RawValue| actor(row).is_some_and(|run| self.0.contains(&run));
        rows.into_iter().filter(mine).collect()
    }

    fn keys(&self, keys: &Keys) -> Keys {
        let Keys { part, namespace, workflow_id, run_no, run } = keys;
        Keys {
            part: self.of(run, part),
            namespace: self.of(run, namespace),
            workflow_id: self.of(run, workflow_id),
            run_no: self.of(run, run_no),
            run: self.of(run, run),
        }
    }

    fn started(&self, rows: &Started) -> Started {
        let Started { keys, workflow_type, hot, at, labels } = rows;
        Started {
            workflow_type: self.of(&keys.run, workflow_type),
            hot: self.of(&keys.run, hot),
            at: self.of(&keys.run, at),
            labels: self.of(&keys.run, labels),
            keys: self.keys(keys),
        }
    }

    fn history(&self, rows: &History) -> History {
        let History { part, run, event, at, events } = rows;
        History {
            part: self.of(run, part),
            run: self.of(run, run),
            event: self.of(run, event),
            at: self.of(run, at),
            events: self.of(run, events),
        }
    }

    fn updated(&self, rows: &Updated) -> Updated {
        let Updated { keys, status, undo, hot, closed_at, labels } = rows;
        Updated {
            status: self.of(&keys.run, status),
            undo: self.of(&keys.run, undo),
            hot: self.of(&keys.run, hot),
            closed_at: self.of(&keys.run, closed_at),
            labels: self.of(&keys.run, labels),
            keys: self.keys(keys),
        }
    }

    fn alarms_set(&self, rows: &AlarmsSet) -> AlarmsSet {
        let AlarmsSet { keys, due, seq } = rows;
        AlarmsSet {
            due: self.of(&keys.run, due),
            seq: self.of(&keys.run, seq),
            keys: self.keys(keys),
        }
    }

    fn alarms_dropped(&self, rows: &AlarmsDropped) -> AlarmsDropped {
        let AlarmsDropped { part, due, run, seq } = rows;
        AlarmsDropped {
            part: self.of(run, part),
            due: self.of(run, due),
            run: self.of(run, run),
            seq: self.of(run, seq),
        }
    }

    fn consumed(&self, rows: &Consumed) -> Consumed {
        let Consumed { part, run, message } = rows;
        Consumed {
            part: self.of(run, part),
            run: self.of(run, run),
            message: self.of(run, message),
        }
    }
}

/// The run that says it: what it is about may be another one.
fn actor(row: &RawValue) -> Option<Uuid> {
    let Whose { run, parent_run, before, sender } = serde_json::from_str(row.get()).ok()?;
    Some(parent_run.or(before).or(sender).unwrap_or(run))
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).expect("it was written here")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it was read from JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: [Uuid; 3] = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];

    fn keys() -> Keys {
        Keys {
            part: vec![1, 2, 3],
            namespace: vec![String::new(); 3],
            workflow_id: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            run_no: vec![1; 3],
            run: RUNS.to_vec(),
        }
    }

    fn all() -> Columns {
        let [a, b, c] = RUNS;
        let kin = format!(
            r#"{{"children":[{{"run":"{}","parent_run":"{a}","n":1.10}}],
                "heirs":[{{"run":"{}","before":"{b}"}}],
                "messages":[{{"run":"{c}","sender":"{a}"}},{{"run":"{a}","sender":"{c}"}}]}}"#,
            Uuid::from_u128(8),
            Uuid::from_u128(9),
        );
        let mut columns = Columns {
            number: 7,
            alarms_dropped: AlarmsDropped { run: vec![b], ..AlarmsDropped::default() },
            consumed: Consumed { run: vec![c], message: vec!["m".to_owned()], part: vec![3] },
            kin: Some(kin),
            views: Some(format!(r#"[{{"run":"{a}","v":1}},{{"run":"{b}","v":2}}]"#)),
            ..Columns::default()
        };
        columns.alarms_set.keys = keys();
        for (event, run) in [(4, a), (0, b), (2, a)] {
            columns.history.push((1, run), event, chrono::DateTime::UNIX_EPOCH, event.to_string());
        }
        columns
    }

    #[test]
    fn what_is_taken_apart_has_every_row_once_with_the_run_that_says_it() {
        let all = all();
        let mut runs = all.runs();
        runs.sort_unstable();
        assert_eq!(runs, RUNS);
        let [a, b, c] = RUNS.map(|run| all.only(&[run], 8));
        assert_eq!((a.history.event.clone(), b.history.event.clone()), (vec![4, 2], vec![0]));
        assert_eq!(b.alarms_set.keys.workflow_id, ["b"]);
        assert_eq!((a.alarms_dropped.run.len(), b.alarms_dropped.run.len()), (0, 1));
        assert_eq!((a.consumed.run.len(), c.consumed.message.len()), (0, 1));
        let (told, views) = (a.kin.unwrap(), a.views.unwrap());
        assert!(told.contains("1.10") && told.contains(&RUNS[2].to_string()), "{told}");
        assert!(views.contains(r#""v":1"#) && !views.contains(r#""v":2"#), "{views}");
        assert!(b.kin.unwrap().contains("before") && b.views.is_some());
        assert!(c.kin.unwrap().contains("sender") && c.views.is_none() && c.number == 8);
    }

    #[test]
    fn a_run_is_parked_where_its_history_goes_on_unless_it_only_begins() {
        let mut alone = all().only(&RUNS[..1], 7);
        assert_eq!(alone.beginning(), Some((1, RUNS[0], 2)));
        alone.started.keys = keys();
        assert_eq!(alone.beginning(), None);
    }
}
