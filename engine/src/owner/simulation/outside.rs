//! What the world does to workflows: it starts them, and speaks to them.

use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Event, Payload, Status, Timestamp};
use rand::RngExt;
use tokio::sync::oneshot::{self, error::TryRecvError};
use uuid::Uuid;

use super::super::{NewStart, StartAnswer};
use super::database::Row;
use super::saga::{self, Ended};
use super::worker::Starting;
use super::{IDS, PARTITIONS, World};
use crate::address::{Address, NAMESPACE, part_of};

/// A message as its sender keeps it, to send it again.
#[derive(Clone)]
pub(super) struct Letter {
    to: Arc<Address>,
    key: String,
    name: Option<String>,
    payload: Option<String>,
}

impl World {
    pub(super) fn start(&mut self, at: usize) {
        let workflow_id = format!("w{}", self.random.random_range(0..IDS));
        let part = part_of(NAMESPACE, &workflow_id, PARTITIONS);
        let latest = self.database.latest(part, &workflow_id);
        let run_no =
            latest.map_or(1, |row| row.address.run_no + i32::from(row.cached.status.is_closed()));
        self.runs += 1;
        let run = Uuid::from_u128(self.runs.into());
        let address = Address {
            part,
            run,
            namespace: NAMESPACE.into(),
            workflow_id: workflow_id.into(),
            run_no,
        };
        let events = self.first_events(&address);
        if self.chance(1, 3) {
            return self.start_elsewhere(&Arc::new(address), &events);
        }
        let (reply, answer) = oneshot::channel();
        let workflow_type = "saga".to_owned();
        let start = NewStart { address, workflow_type, events, labels: None, reply, permit: None };
        let now = self.now_of(at);
        self.workers[at].start(start, answer, now);
    }

    /// A start, perhaps with a deadline, and perhaps with a signal.
    fn first_events(&mut self, address: &Address) -> Vec<Event> {
        let deadline: Option<Timestamp> = self.chance(1, 4).then(|| {
            let millis = self.random.random_range(0..60_000);
            self.database.now().after(Duration::from_millis(millis))
        });
        let ended = if deadline.is_some() { Ended::Sometime } else { Ended::Never };
        let input = Payload::of(&saga::plan(&mut self.random, 0, ended)).unwrap();
        let (code, parent, continued) = (None, None, None);
        let mut events = vec![Event::Started { input, code, deadline, parent, continued }];
        if self.chance(1, 5) {
            self.tally.saw("a signal comes with a start");
            let n = self.letters.len();
            let (key, name) = (format!("signal:{n}"), "ping".to_owned());
            let payload = Payload::of(&n).unwrap();
            let (to, text) = (Arc::new(address.clone()), payload.get().to_owned());
            self.letters.push(Letter { to, key, name: Some(name.clone()), payload: Some(text) });
            events.push(Event::Signalled { name, id: n.to_string(), payload });
        }
        events
    }

    fn start_elsewhere(&mut self, address: &Arc<Address>, events: &[Event]) {
        if self.database.start(address, events) {
            self.acknowledged.insert(address.run);
        }
    }

    pub(super) fn hear_answers(&mut self, at: usize) {
        for mut start in std::mem::take(&mut self.workers[at].starts) {
            match start.answer.try_recv() {
                Ok(StartAnswer::Started) => drop(self.acknowledged.insert(start.address.run)),
                // By whom cannot be seen, if his transaction was open: then it is made again.
                Ok(StartAnswer::Taken) => {
                    let Starting { address, events, .. } = start;
                    let latest = self.database.latest(address.part, &address.workflow_id);
                    if latest.is_none_or(|row| row.address.run_no < address.run_no) {
                        self.tally.saw("a start is made again");
                        self.start_elsewhere(&address, &events);
                    }
                }
                Err(TryRecvError::Empty) => self.workers[at].starts.push(start),
                Ok(StartAnswer::NotMine) | Err(TryRecvError::Closed) => {
                    let Starting { address, events, .. } = start;
                    self.start_elsewhere(&address, &events);
                }
            }
        }
    }

    pub(super) fn send(&mut self) {
        if self.chance(1, 4) && !self.letters.is_empty() {
            self.tally.saw("a signal is repeated");
            let letter = self.some_letter();
            let Letter { to, key, name, payload } = self.letters[letter].clone();
            let latest = self.database.latest(to.part, &to.workflow_id);
            let latest = latest.map(|row| Arc::clone(&row.address));
            let to = latest.filter(|_| self.random.random_range(0..2) == 0).unwrap_or(to);
            return self.database.send(&to, key, name, payload);
        }
        let Some(to) = self.somebody(|_| true) else { return };
        let n = self.letters.len();
        let (key, name) = match self.random.random_range(0..20) {
            0..10 => (format!("signal:{n}"), Some("ping")),
            10..14 => (format!("update:{n}"), Some("query")),
            14..17 => ("cancel".to_owned(), None),
            17 => ("terminate".to_owned(), None),
            _ => return self.retry(),
        };
        let name = name.map(str::to_owned);
        let letter = Letter { to, key, payload: name.as_ref().map(|_| n.to_string()), name };
        let Letter { to, key, name, payload } = letter.clone();
        self.database.send(&to, key, name.clone(), payload);
        if name.is_some() {
            self.letters.push(letter);
        }
    }

    /// Most often one that was sent lately.
    fn some_letter(&mut self) -> usize {
        let count = self.letters.len();
        let among = if self.chance(3, 4) { count.min(6) } else { count };
        count - 1 - self.random.random_range(0..among)
    }

    /// Most often one that was the latest of its id a moment ago.
    fn somebody(&mut self, which: impl Fn(&Row) -> bool) -> Option<Arc<Address>> {
        let rows: Vec<_> = self.database.rows().filter(|row| which(row)).collect();
        if rows.is_empty() {
            return None;
        }
        let row = rows[self.random.random_range(0..rows.len())];
        if self.random.random_range(0..4) == 0 {
            return Some(Arc::clone(&row.address));
        }
        let latest = self.database.latest(row.address.part, &row.address.workflow_id);
        latest.map(|row| Arc::clone(&row.address))
    }

    /// An operator has looked at something that is stuck.
    pub(super) fn retry(&mut self) {
        let Some(to) = self.somebody(|row| row.cached.status == Status::Stuck) else { return };
        self.runs += 1;
        self.database.send(&to, format!("retry:{}", self.runs), None, None);
    }
}
