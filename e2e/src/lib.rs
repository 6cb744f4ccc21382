//! What a test of a page needs: a server of its own, and a real browser that looks at it.
//!
//! A crate of its own, because what drives the browser takes a minute to compile.

mod browser;
mod chromium;
mod server;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt as _;

pub use browser::{Page, Scheme};
pub use server::Server;

/// Shows a page to a browser and lets a story be played on it, which panics where it goes wrong.
///
/// What the page looked like then is kept in `target/e2e/{name}.png` and `.html`. A word of the
/// browser's console about an error, or about something that the page may not load, fails it too.
/// Without a browser nothing is played, and a line says so.
pub async fn story(name: &str, path: &str, play: impl AsyncFnOnce(&Page, &Server)) {
    let Some(chromium) = chromium::found() else { return };
    let server = Server::start().await;
    let (mut browser, page) = browser::open(&chromium, name).await;
    page.go(&format!("{}{path}", server.url())).await;
    let played = AssertUnwindSafe(play(&page, &server)).catch_unwind().await;
    let complaints = page.complaints();
    if played.is_err() || !complaints.is_empty() {
        page.keep(name).await;
    }
    browser.close().await;
    server.stop().await;
    if let Err(panic) = played {
        resume_unwind(panic);
    }
    assert!(complaints.is_empty(), "the console says: {complaints:#?}");
}
