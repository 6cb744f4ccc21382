//! `GET /v1/views/{name}/events`: rows as they change.
//!
//! One poller for each view of a process, and only while somebody listens. Who comes with the id
//! of the last event reads what it has missed for itself, and then hears what all hear, but for
//! what it has read already: each row that is told says which transaction wrote it.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt as _, stream};
use hansom_engine::{Client, ClientError, ViewChange, ViewCursor};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::ViewName;
use crate::http::errors::draining;
use crate::http::kinds;
use crate::http::problem::{Problem, echo};
use crate::http::query::Params;
use crate::http::state::Api;

/// A change is told this long after it was committed, at most.
const POLL: Duration = Duration::from_millis(300);
/// So many rows are read at a time.
const PAGE: u32 = 500;
/// So many pages wait for a listener that is slow; after that it reads for itself.
const WAITING: usize = 16;
/// A connection on which nothing is said hears so often that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What changed, and from where to read on.
type News = Arc<(Vec<ViewChange>, ViewCursor)>;

/// The pollers of this process, by view.
#[derive(Default)]
pub(crate) struct Feeds(Mutex<HashMap<String, broadcast::Sender<News>>>);

impl Feeds {
    /// Hears of that view from now on. The first to listen starts its poller.
    fn listen(&self, api: &Arc<Api>, view: &str, from: &ViewCursor) -> broadcast::Receiver<News> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(view) {
            return feed.subscribe();
        }
        let (feed, listener) = broadcast::channel(WAITING);
        feeds.insert(view.to_owned(), feed.clone());
        tokio::spawn(poll(Arc::clone(api), view.to_owned(), from.clone(), feed));
        listener
    }

    /// Ends the poller if nobody listens to it.
    fn leave(&self, view: &str) -> bool {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = feeds.get(view).is_none_or(|feed| feed.receiver_count() == 0);
        if silent {
            feeds.remove(view);
        }
        silent
    }
}

async fn poll(api: Arc<Api>, view: String, mut cursor: ViewCursor, feed: broadcast::Sender<News>) {
    while !api.feeds().leave(&view) && !api.is_draining() {
        let more = match api.client().view_changes(&view, Some(&cursor), PAGE).await {
            Ok(changes) => {
                cursor = changes.cursor.clone();
                if !changes.items.is_empty() {
                    // Nobody may be left to hear it.
                    let _ = feed.send(Arc::new((changes.items, changes.cursor)));
                }
                changes.more
            }
            Err(error) => {
                tracing::warn!(%error, view, "view_unread");
                false
            }
        };
        if !more {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Rows of a view as they change, each as it is then: server-sent events.
///
/// `event: row`, `data`: the row as `/v1/views/{name}/{key}` has it. The last row of what was
/// committed together has an `id`; with it as `Last-Event-ID` (a browser sends that) or as `after`
/// whoever comes back misses none. Rows that were there before are read beside it: listen first.
#[utoipa::path(get, path = "/v1/views/{name}/events", tag = "views",
    params(
        ("name" = String, Path, description = "The view"),
        ("after" = Option<String>, Query, description = "The id of the last event that was heard"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 400, description = "page.cursor", body = Problem),
        (status = 404, description = "view.not_found", body = Problem),
        (status = 422, body = Problem),
        (status = 503, body = Problem),
    ))]
pub(crate) async fn events(
    State(api): State<Arc<Api>>,
    ViewName(name): ViewName,
    headers: HeaderMap,
    params: Params,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    params.only(&["after"])?;
    if api.is_draining() {
        return Err(draining());
    }
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = header.or_else(|| params.get("after")).map(|given| {
        given.parse::<ViewCursor>().map_err(|_| {
            let detail = format!("{} is not the id of an event", echo(given));
            Problem::new(kinds::PAGE_CURSOR, detail).field("after")
        })
    });
    let after = after.transpose()?;
    // It listens before it reads what it has missed: what comes between is heard.
    let now = api.client().view_changes(&name, None, PAGE).await?.cursor;
    let listener = Listener {
        client: api.client().clone(),
        news: api.feeds().listen(&api, &name, &now),
        name,
        behind: after.is_some(),
        cursor: after.unwrap_or(now),
        told: VecDeque::new(),
    };
    let rows = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    let drained = async move { api.drained().await };
    let rows = Box::pin(rows).take_until(Box::pin(drained));
    Ok(Sse::new(rows).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Somebody who follows a view.
struct Listener {
    client: Client,
    name: String,
    /// What it has read for itself.
    cursor: ViewCursor,
    /// Whether there is more for it to read, before it hears what all hear.
    behind: bool,
    news: broadcast::Receiver<News>,
    told: VecDeque<Event>,
}

impl Listener {
    /// `None` when there is nobody any more to hear from.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(event);
            }
            if self.behind {
                if let Err(error) = self.read().await {
                    tracing::warn!(%error, view = self.name, "view_unread");
                    tokio::time::sleep(POLL).await;
                }
                continue;
            }
            match self.news.recv().await {
                Ok(news) => {
                    let (changes, cursor) = &*news;
                    let seen = self.cursor.clone();
                    self.tell(changes.iter().filter(|change| !seen.has_seen(change)), cursor);
                    if cursor.is_after(&seen) {
                        self.cursor = cursor.clone();
                    }
                }
                // It was too slow: what it missed, and more, is read.
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let changes = self.client.view_changes(&self.name, Some(&self.cursor), PAGE).await?;
        self.tell(changes.items.iter(), &changes.cursor);
        (self.cursor, self.behind) = (changes.cursor, changes.more);
        Ok(())
    }

    fn tell<'a>(&mut self, changes: impl Iterator<Item = &'a ViewChange>, cursor: &ViewCursor) {
        let mut events: Vec<_> = changes
            .filter_map(|change| Event::default().event("row").json_data(&change.record).ok())
            .collect();
        // Whoever leaves in the middle hears all of it again.
        if let Some(last) = events.pop() {
            events.push(last.id(cursor.to_string()));
        }
        self.told.extend(events);
    }
}
