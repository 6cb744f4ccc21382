//! All open runs as of one moment: read, and nothing else.
//!
//! Says nothing of tables or columns that came after the first migrations: the
//! database of a deploy that is still to come has the old schema.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use hansom_core::{Status, UndoStatus};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::{status_of, undo_of};
use crate::address::Part;

/// An open run as it is stored, undecoded.
pub(crate) struct OpenRun {
    pub(crate) row: OpenRow,
    pub(crate) history: Vec<HistoryText>,
    pub(crate) inbox: Vec<Letter>,
}

/// What its row says.
pub(crate) struct OpenRow {
    pub(crate) part: Part,
    pub(crate) run: Uuid,
    pub(crate) workflow_id: String,
    pub(crate) workflow_type: String,
    pub(crate) status: Status,
    pub(crate) undo: UndoStatus,
}

/// A row of its history.
pub(crate) struct HistoryText {
    pub(crate) run: Uuid,
    pub(crate) event: i32,
    pub(crate) at: DateTime<Utc>,
    pub(crate) events: String,
}

/// A message that it has not taken in yet.
pub(crate) struct Letter {
    pub(crate) key: String,
    pub(crate) name: Option<String>,
    pub(crate) payload: Option<String>,
}

/// A transaction that sees the database as it was when it began.
pub(crate) struct Snapshot(PgConnection);

impl Snapshot {
    /// Opens it on a connection of its own; a replica will do.
    pub(crate) async fn open(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::clone(&pool.connect_options())
            .application_name("hansom check")
            // It reads a lot at a time, and waits while what it read is looked at.
            .options([("statement_timeout", "10min")])
            .options([("idle_in_transaction_session_timeout", "10min")]);
        let mut connection = PgConnection::connect_with(&options).await?;
        let begin = "begin isolation level repeatable read read only";
        sqlx::raw_sql(begin).execute(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Ends it.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.0.close().await
    }

    /// The run at which so many, closed ones included, follow after `after`: what
    /// one statement looks through is bounded, however few of them are open.
    pub(crate) async fn window(
        &mut self,
        after: Uuid,
        runs: i64,
    ) -> Result<Option<Uuid>, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select w.run as "run!"
             from unnest(array[true, false]) as h (hot), lateral (
                 select run from hansom.workflow where hot = h.hot and run > $1
                 order by run limit $2
             ) w
             order by w.run offset $2 - 1 limit 1"#,
            after,
            runs,
        )
        .fetch_optional(&mut self.0)
        .await
    }

    /// The open runs after `after`, up to and with `last`.
    pub(crate) async fn rows(
        &mut self,
        after: Uuid,
        last: Uuid,
        workflow_type: Option<&str>,
    ) -> Result<Vec<OpenRow>, sqlx::Error> {
        sqlx::query!(
            "select part, run, workflow_id, type as workflow_type, status, undo
             from hansom.workflow
             where hot = any (array[true, false]) and run > $1 and run <= $2
                 and closed_at is null and ($3::text is null or type = $3)
             order by run",
            after,
            last,
            workflow_type,
        )
        .map(|row| OpenRow {
            part: row.part,
            run: row.run,
            workflow_id: row.workflow_id,
            workflow_type: row.workflow_type,
            status: status_of(row.status),
            undo: undo_of(row.undo),
        })
        .fetch_all(&mut self.0)
        .await
    }

    /// What waits in the inboxes of these runs, by run.
    pub(crate) async fn inboxes(
        &mut self,
        parts: &[Part],
        runs: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<Letter>>, sqlx::Error> {
        let rows = sqlx::query!(
            "select i.run, i.message, i.name, i.payload
             from unnest($1::int[], $2::uuid[]) as r (part, run)
             join hansom.inbox i using (part, run)
             order by i.received_at, i.message",
            parts,
            runs,
        )
        .fetch_all(&mut self.0)
        .await?;
        let mut inboxes: HashMap<Uuid, Vec<Letter>> = HashMap::new();
        for row in rows {
            let letter = Letter { key: row.message, name: row.name, payload: row.payload };
            inboxes.entry(row.run).or_default().push(letter);
        }
        Ok(inboxes)
    }

    /// The histories of these runs, one after the other, ordered by run.
    pub(crate) fn histories(
        &mut self,
        parts: &[Part],
        runs: &[Uuid],
    ) -> BoxStream<'_, Result<HistoryText, sqlx::Error>> {
        sqlx::query_as!(
            HistoryText,
            "select h.run, h.event, h.at, h.events
             from unnest($1::int[], $2::uuid[]) as r (part, run)
             join hansom.history h using (part, run)
             order by h.run, h.event",
            parts,
            runs,
        )
        .fetch(&mut self.0)
    }
}
