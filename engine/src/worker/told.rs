//! What a lane is told, by whomever.

use std::sync::Arc;
use std::time::Duration;

use hansom_core::{Seq, Timestamp};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::address::{Address, Part};
use crate::owner::{AlarmRow, Answer, Message, NewStart, Stored};

/// What a lane is told.
pub(crate) enum ToLane {
    /// Start a workflow.
    Start(NewStart),
    /// An attempt was answered.
    Answer(Answer),
    /// The worker has a new identity: whatever was owned is lost.
    Join(Uuid, oneshot::Sender<()>),
    /// These partitions are owned now; the flag says whether they were left in peace.
    Gained(Vec<(Part, i64, bool)>),
    /// Stop with these partitions, waiting so long for attempts under way.
    Release(Vec<Part>, Duration, oneshot::Sender<()>),
    /// Something may be in the inbox.
    Poke,
    /// End.
    Stop,
    /// Histories that were asked for.
    Loaded(Loaded),
    /// The inbox was read, to its end or not: messages, and whom they are for by now.
    Inbox(Vec<(Message, Option<Arc<Address>>)>, bool),
    /// The alarms due before a time.
    Alarms(Vec<AlarmRow>, Timestamp),
    /// The rows of these attempts, which are made elsewhere, are there.
    Offered(Vec<(Uuid, Seq, u32)>),
    /// So many attempts elsewhere were too late; their outcomes are in the inbox.
    Expired(i32),
    /// Children that could not be started were tried again.
    Tried,
    /// What closed runs had left is gone.
    Swept,
}

/// Histories that were asked for.
pub(crate) struct Loaded {
    pub(crate) asked: Vec<Arc<Address>>,
    pub(crate) stored: Vec<Stored>,
    /// There, but its history makes no sense; somebody has to look.
    pub(crate) unreadable: Vec<Uuid>,
    /// Asked for, and to be asked for again: it was enough at once.
    pub(crate) left: Vec<Arc<Address>>,
    /// More of a recovery: of these partitions, after this run.
    pub(crate) next: Option<(Vec<Part>, Uuid)>,
}
