use chrono::{DateTime, Utc};
use hansom_workflows::notification::{Channel, Notify};
use sqlx::PgPool;

use super::{Feed, Message};
use crate::StoreError;
use crate::page::{Page, Paged};

/// `notification.message`.
#[derive(Clone, Debug)]
pub(super) struct Store(pub(super) PgPool);

struct Row {
    message_id: i64,
    about: String,
    channel: String,
    sender: String,
    recipient: String,
    message: String,
    delivered_at: DateTime<Utc>,
}

impl Row {
    fn read(self) -> Result<Message, sqlx::Error> {
        let channel = Channel::parse(&self.channel)
            .ok_or_else(|| sqlx::Error::Decode(format!("channel {}", self.channel).into()))?;
        let (about, message) = (self.about, self.message);
        let notify = Notify { about, channel, from: self.sender, to: self.recipient, message };
        Ok(Message { message_id: self.message_id, notify, delivered_at: self.delivered_at })
    }
}

impl Store {
    /// Whether this step delivers it now, and not before.
    pub(super) async fn deliver(&self, ask: &Notify, step: &str) -> Result<bool, StoreError> {
        let delivered = sqlx::query!(
            "insert into notification.message (step, about, channel, sender, recipient, message)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (step) do nothing",
            step,
            ask.about,
            ask.channel.as_str(),
            ask.from,
            ask.to,
            ask.message,
        )
        .execute(&self.0)
        .await?;
        Ok(delivered.rows_affected() == 1)
    }

    pub(super) async fn get(&self, id: i64) -> Result<Option<Message>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "select message_id, about, channel, sender, recipient, message, delivered_at
             from notification.message where message_id = $1",
            id,
        );
        let row = row.fetch_optional(&self.0).await?;
        Ok(row.map(Row::read).transpose()?)
    }

    pub(super) async fn list(
        &self,
        feed: Feed<'_>,
        page: Page,
    ) -> Result<Paged<Message>, StoreError> {
        let total = sqlx::query_scalar!(
            r#"select count(*) as "count!" from notification.message
               where split_part(about, '.', 1) = $1 and ($2::text is null or recipient = $2)"#,
            feed.system,
            feed.to,
        );
        let total = total.fetch_one(&self.0).await?;
        let rows = sqlx::query_as!(
            Row,
            "select message_id, about, channel, sender, recipient, message, delivered_at
             from notification.message
             where message_id in (
                 select message_id from notification.message
                 where split_part(about, '.', 1) = $1 and ($2::text is null or recipient = $2)
                 order by message_id limit $3 offset $4)
             order by message_id",
            feed.system,
            feed.to,
            page.limit(),
            page.offset(),
        );
        let rows = rows.fetch_all(&self.0).await?;
        let items = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Paged { items, total })
    }
}
