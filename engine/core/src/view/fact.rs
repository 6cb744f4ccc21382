//! One event, as a view is told of it.

use std::cell::Cell;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    Activity, Command, Direction, Event, Ledger, Payload, Running, Seq, Signal, Status, Timestamp,
    Update,
};

/// Something that was written into the history of a run, and what the row says before it.
///
/// Each question is answered by name first, and decodes nothing that was not asked for. What does
/// not have the shape of the type that is asked for is not there, and the log says so
/// (`view_failed`).
pub struct Fact<'a> {
    pub(super) event: &'a Event,
    /// What history added up to before.
    pub(super) ledger: &'a Ledger,
    pub(super) at: Timestamp,
    pub(super) row: &'a Map<String, Value>,
    /// What could not be decoded.
    pub(super) unread: Cell<Option<String>>,
}

impl Fact<'_> {
    /// The action `A` was done: what was asked, and the answer; also when only its probe could
    /// tell.
    pub fn done<A: Activity>(&self) -> Option<(A, A::Output)> {
        let Event::Done { seq, output } = self.event else { return None };
        let request = self.action(*seq, A::NAME)?;
        Some((self.read(A::NAME, request)?, self.read(A::NAME, output)?))
    }

    /// The action `A` was refused: its effect is known not to have happened.
    pub fn refused<A: Activity>(&self) -> Option<(A, A::Error)> {
        let Event::Refused { seq, error } = self.event else { return None };
        let request = self.action(*seq, A::NAME)?;
        Some((self.read(A::NAME, request)?, self.read(A::NAME, error)?))
    }

    /// The action `A` ended without an answer: nobody knows whether it was done, or it is known
    /// that it was not.
    pub fn given_up<A: Activity>(&self) -> Option<A> {
        let (Event::Unknown { seq, .. } | Event::NotDone { seq, .. }) = self.event else {
            return None;
        };
        self.read(A::NAME, self.action(*seq, A::NAME)?)
    }

    /// The undo `U` was done; also one that came from a child, or from the run before.
    pub fn undone<U: Activity>(&self) -> Option<U> {
        let Event::Done { seq, .. } = self.event else { return None };
        let running = self.running(*seq)?;
        let is = running.direction == Direction::Undo && running.call.activity == U::NAME;
        if is { self.read(U::NAME, &running.call.request) } else { None }
    }

    /// The action `A` was asked for, and has not been attempted yet.
    pub fn asked<A: Activity>(&self) -> Option<A> {
        match self.event {
            Event::Asked(Command::Run { activity, request, .. }) if activity == A::NAME => {
                self.read(A::NAME, request)
            }
            _ => None,
        }
    }

    /// The signal `S` arrived. Whether the body takes it is not known yet.
    pub fn signal<S: Signal>(&self) -> Option<S> {
        match self.event {
            Event::Signalled { name, payload, .. } if name == S::NAME => {
                self.read(S::NAME, payload)
            }
            _ => None,
        }
    }

    /// The update `U` arrived. Whether the body refuses it is not known yet.
    pub fn update<U: Update>(&self) -> Option<U> {
        match self.event {
            Event::UpdateRequested { name, payload, .. } if name == U::NAME => {
                self.read(U::NAME, payload)
            }
            _ => None,
        }
    }

    /// The run closed: how.
    pub fn closed(&self) -> Option<Status> {
        match self.event {
            Event::Terminated { .. } => Some(Status::Terminated),
            Event::Asked(command) => self.ledger.closed_by(command),
            _ => None,
        }
    }

    /// When it was committed, by the database's clock.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What the row says so far in `field`, where that has the shape of `T`.
    pub fn field<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        T::deserialize(self.row.get(field)?).ok()
    }

    fn running(&self, seq: Seq) -> Option<&Running> {
        self.ledger.running().get(&seq).map(|running| &**running)
    }

    /// The request of the action at `seq`, if it is called `name`.
    fn action(&self, seq: Seq, name: &str) -> Option<&Payload> {
        let running = self.running(seq)?;
        let (activity, request) = match &running.probed {
            Some(action) => (&action.activity, &action.request),
            None => (&running.call.activity, &running.call.request),
        };
        (running.direction != Direction::Undo && activity == name).then_some(request)
    }

    fn read<T: DeserializeOwned>(&self, what: &str, payload: &Payload) -> Option<T> {
        let read = payload.decode();
        read.map_err(|error| self.unread.set(Some(format!("{what}: {error}")))).ok()
    }
}
