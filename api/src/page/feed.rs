//! What a page shows, read through the façades once for all who look at it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::{join, join_all};
use futures_util::stream::{Stream, unfold};
use hansom_engine::Commits;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tower::ServiceExt as _;

use crate::http::Api;
use crate::http::errors::draining;
use crate::http::problem::Problem;

/// How old what is shown may be where something happens …
const EVERY: Duration = Duration::from_millis(250);

/// … and where nothing was heard of: another process may have done it, or a service by itself.
const QUIET: Duration = Duration::from_secs(1);

/// Said so often that a listener who hears nothing knows that nobody is there.
const BEAT: Duration = Duration::from_secs(5);

/// A service that has not answered by then is shown as one that does not answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Rows per page of a list; its last two are shown.
const ROWS: u64 = 25;

/// The largest list that is read, in bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// A system, and the lists that its page shows.
pub(super) struct System {
    /// Its façade is below this.
    pub(super) name: &'static str,
    lists: &'static [&'static str],
}

/// All of them.
pub(super) const SYSTEMS: &[System] = &[
    System { name: "taxisvc", lists: &["calls", "drives", "payments", "callViews"] },
    System {
        name: "anycall",
        lists: &["memberShips", "calls", "taxis", "notifies", "taxiServiceInfos"],
    },
    System { name: "move", lists: &["movers", "moverinfos", "kakaotalks"] },
    System {
        name: "bike",
        lists: &["managements", "points", "approvals", "reservations", "reservationDashboards"],
    },
];

/// What one page shows. Nothing is read while nobody looks.
struct Feed {
    system: &'static System,
    api: Arc<Api>,
    facades: Router,
    seen: Mutex<Seen>,
}

/// What was seen last, and what has been heard of since.
struct Seen {
    last: Option<Look>,
    commits: Commits,
}

/// What was seen, and when.
struct Look {
    at: Instant,
    text: Arc<str>,
}

/// A feed for the page of every system: live at `/page/feed/{name}`, once at `…/now`.
pub(super) fn routes(api: &Arc<Api>, facades: &Router) -> Router {
    let feeds = SYSTEMS.iter().map(|system| {
        let (api, facades) = (Arc::clone(api), facades.clone());
        let seen = Mutex::new(Seen { last: None, commits: api.client().commits() });
        let feed = Arc::new(Feed { system, api, facades, seen });
        let path = format!("/page/feed/{}", system.name);
        Router::new()
            .route(&path, get(listen))
            .route(&format!("{path}/now"), get(now))
            .with_state(feed)
    });
    feeds.fold(Router::new(), Router::merge)
}

/// For whoever cannot listen.
async fn now(State(feed): State<Arc<Feed>>) -> Response {
    ([(CONTENT_TYPE, "application/json")], feed.look().await.to_string()).into_response()
}

/// Each event has all that is shown, so that none is missed by who comes back.
async fn listen(
    State(feed): State<Arc<Feed>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    if feed.api.is_draining() {
        return Err(draining());
    }
    let told: Option<(Arc<str>, Instant)> = None;
    let news = unfold((feed, told), async |(feed, mut told)| {
        loop {
            if feed.api.is_draining() {
                return None;
            }
            let seen = feed.look().await;
            let event = match &told {
                Some((text, at)) if *text == seen => {
                    (at.elapsed() >= BEAT).then(|| Event::default().event("beat").data(""))
                }
                None => Some(Event::default().retry(Duration::from_secs(1)).data(&*seen)),
                Some(_) => Some(Event::default().data(&*seen)),
            };
            if let Some(event) = event {
                told = Some((seen, Instant::now()));
                return Some((Ok(event), (feed, told)));
            }
            tokio::time::sleep(EVERY).await;
        }
    });
    Ok(Sse::new(news))
}

impl Feed {
    /// What there is to see, which is not older than [`EVERY`], or than [`QUIET`] where nothing
    /// was committed since. Who comes while another one looks waits for what that one sees.
    async fn look(&self) -> Arc<str> {
        let mut seen = self.seen.lock().await;
        let Seen { last, commits } = &mut *seen;
        let old = last.as_ref().map_or(QUIET, |look| look.at.elapsed());
        let fresh = old < EVERY || (old < QUIET && !commits.has_changed());
        if let Some(look) = last.as_ref().filter(|_| fresh) {
            return Arc::clone(&look.text);
        }
        // What is committed from here on may not be seen.
        commits.forget();
        let lists = self.system.lists.iter().map(|list| self.list(list));
        let (lists, faults) = join(join_all(lists), self.faults()).await;
        let lists: BTreeMap<_, _> = self.system.lists.iter().zip(lists).collect();
        let text: Arc<str> = json!({ "lists": lists, "faults": faults }).to_string().into();
        // What is the same stays the same, so that listeners see that at a glance.
        let text =
            last.take().map(|look| look.text).filter(|before| *before == text).unwrap_or(text);
        *last = Some(Look { at: Instant::now(), text: Arc::clone(&text) });
        text
    }

    /// The last rows of a list, or none when whoever keeps it does not answer.
    async fn list(&self, list: &str) -> Option<Vec<Value>> {
        tokio::time::timeout(PATIENCE, self.rows(list)).await.ok()?
    }

    async fn rows(&self, list: &str) -> Option<Vec<Value>> {
        let (mut rows, pages) = self.page(list, 0).await?;
        if pages > 2 {
            rows = self.page(list, pages - 2).await?.0;
        }
        if pages > 1 {
            rows.extend(self.page(list, pages - 1).await?.0);
        }
        Some(rows)
    }

    /// The rows of a page, and how many pages there are.
    async fn page(&self, list: &str, number: u64) -> Option<(Vec<Value>, u64)> {
        let name = self.system.name;
        let mut body = self.get(&format!("/{name}/{list}?page={number}&size={ROWS}")).await?;
        let pages = body["page"]["totalPages"].as_u64().unwrap_or(1);
        let rows = body["_embedded"][list].take();
        Some((serde_json::from_value(rows).ok()?, pages))
    }

    async fn faults(&self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.get("/faults")).await.ok()?
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Body::empty()).expect("it is a path");
        let Ok(response) = self.facades.clone().oneshot(request).await;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = axum::body::to_bytes(response.into_body(), MAX_LIST).await.ok()?;
        serde_json::from_slice(&body).ok()
    }
}
