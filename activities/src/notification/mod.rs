//! The notification service, shared by all systems: it delivers in the app, by text message and
//! by `KakaoTalk`, and keeps what it delivered.

mod store;

use chrono::{DateTime, Utc};
use hansom_core::{ActivityContext, Failure, Handler, Handlers, Never};
use hansom_workflows::notification::Notify;
use sqlx::PgPool;

use self::store::Store;
use crate::StoreError;
use crate::page::{Page, Paged};

/// The service.
#[derive(Clone, Debug)]
pub struct NotificationService {
    store: Store,
}

/// A message that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message.
    pub message_id: i64,
    /// What it said, and to whom.
    pub notify: Notify,
    /// When.
    pub delivered_at: DateTime<Utc>,
}

/// Which messages.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// About workflows of this system: the word that their ids begin with, up to the dot.
    pub system: &'a str,
    /// To this number alone.
    pub to: Option<&'a str>,
}

impl NotificationService {
    /// The service on a database that [`crate::migrator`] has prepared.
    pub fn new(pool: PgPool) -> Self {
        Self { store: Store(pool) }
    }

    /// What it does for sagas.
    pub fn handlers(&self) -> Handlers {
        Handlers::default().with::<Notify>(self.clone())
    }

    /// The message of that id.
    pub async fn get(&self, message_id: i64) -> Result<Option<Message>, StoreError> {
        self.store.get(message_id).await
    }

    /// The messages of a feed, in the order in which they were delivered.
    pub async fn list(&self, feed: Feed<'_>, page: Page) -> Result<Paged<Message>, StoreError> {
        self.store.list(feed, page).await
    }
}

impl Handler<Notify> for NotificationService {
    async fn handle(&self, ask: Notify, cx: ActivityContext) -> Result<(), Failure<Never>> {
        if self.store.deliver(&ask, &cx.idempotency_key()).await? {
            tracing::info!(about = ask.about, channel = ask.channel.as_str(), "message_delivered");
        }
        Ok(())
    }
}
