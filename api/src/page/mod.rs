//! The page for people at `/`: one for each bundled system, for trying it out by hand.
//!
//! Its files are part of the binary. It asks nothing that others could not ask too: the façades,
//! `/faults` and `/v1`; only what it shows is gathered for it here (`feed`).

mod feed;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::problem::{Problem, echo};
use crate::http::{Api, kinds};

/// Nothing but the page's own files, and nobody may put it into a frame of theirs.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; object-src 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// Every page is this one: its script looks at the path.
const SHELL: &str = include_str!("../../assets/page/index.html");

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($name:literal $kind:ident,)+) => {
        const ASSETS: &[Asset] = &[$(Asset {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("../../assets/page/", $name)),
        }),+];
    };
}

assets! {
    "style.css" STYLE,
    "icon.svg" ICON,
    "app.js" SCRIPT,
    "dom.js" SCRIPT,
    "words.js" SCRIPT,
    "feed.js" SCRIPT,
    "send.js" SCRIPT,
    "parts.js" SCRIPT,
    "saga.js" SCRIPT,
    "faults.js" SCRIPT,
    "home.js" SCRIPT,
    "taxisvc.js" SCRIPT,
    "anycall.js" SCRIPT,
    "move.js" SCRIPT,
    "bike.js" SCRIPT,
}

/// The page, beside the façades that it shows.
pub fn beside(api: &Arc<Api>, facades: Router) -> Router {
    let mut routes = Router::new().route("/", get(shell)).route("/page/assets/{name}", get(asset));
    for system in feed::SYSTEMS {
        routes = routes.route(&format!("/page/{}", system.name), get(shell));
    }
    routes.merge(feed::routes(api, &facades)).merge(facades)
}

async fn shell(headers: HeaderMap) -> Response {
    let wished = headers.get(ACCEPT_LANGUAGE).and_then(|wished| wished.to_str().ok());
    let lang = format!("<html lang=\"{}\">", language(wished.unwrap_or_default()));
    let page = SHELL.replacen("<html lang=\"en\">", &lang, 1);
    let mut response = answer(HTML, page);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-language"));
    response
}

async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(|| {
        Problem::new(kinds::ROUTE_UNKNOWN, format!("the page has no file {}", echo(&name)))
    })?;
    Ok(answer(asset.kind, asset.text))
}

fn answer(kind: &'static str, text: impl IntoResponse) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_TYPE, kind),
        (HeaderName::from_static("content-security-policy"), POLICY),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Of the two that the page speaks, the one that the browser would rather read.
fn language(accepted: &str) -> &'static str {
    let mut best = ("en", 0.0);
    for wish in accepted.split(',') {
        let (tag, rest) = wish.split_once(';').unwrap_or((wish, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse).unwrap_or(0.0);
        let spoken = tag.trim().split('-').next().unwrap_or_default();
        let ours = ["en", "ko"].into_iter().find(|ours| spoken.eq_ignore_ascii_case(ours));
        best = ours.filter(|_| weight > best.1).map_or(best, |ours| (ours, weight));
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_decides_which_language_comes_first() {
        assert_eq!(language("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"), "ko");
        assert_eq!(language("en-US,en;q=0.9,ko;q=0.8"), "en");
        assert_eq!(language("de, ko;q=0.3"), "ko");
        assert_eq!(language("de"), "en");
        assert_eq!(language(""), "en");
        assert_eq!(language("KO;q=nonsense, en;q=0.1"), "en");
    }

    #[tokio::test]
    async fn a_page_loads_nothing_from_elsewhere_and_is_what_it_says() {
        let script = asset(Path("app.js".into())).await.expect("it is served");
        for response in [shell(HeaderMap::new()).await, script] {
            let headers = response.headers();
            assert!(headers["content-security-policy"].to_str().is_ok_and(|policy| {
                policy.starts_with("default-src 'self';") && !policy.contains("unsafe")
            }));
            assert_eq!(headers["x-content-type-options"], "nosniff");
        }
    }

    #[test]
    fn the_page_has_its_language_in_one_place_and_nothing_inline() {
        assert_eq!(SHELL.matches("<html lang=\"en\">").count(), 1);
        assert!(!SHELL.contains("style=") && !SHELL.contains("<style"));
        assert_eq!(
            SHELL.matches("<script").count(),
            SHELL.matches("<script type=\"module\" src=").count()
        );
    }

    #[test]
    fn every_file_that_a_script_imports_is_served() {
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT) {
            for imported in asset.text.split("'./").skip(1) {
                let name = imported.split('\'').next().unwrap_or_default();
                let served = ASSETS.iter().any(|asset| asset.name == name);
                assert!(served, "{} imports {name}", asset.name);
            }
        }
    }

    /// What a script finds in none of the two languages, it would not draw at all.
    #[test]
    fn there_is_a_word_for_all_that_is_said() {
        let words = include_str!("../../assets/page/words.js");
        let mut keys: Vec<_> = words
            .lines()
            .filter_map(|line| line.strip_prefix("  '")?.split_once("':"))
            .map(|(key, _)| key)
            .collect();
        keys.sort_unstable();
        let twice = keys.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "there are two words for it");
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT) {
            for (at, call) in asset.text.match_indices("t('") {
                let other = asset.text[..at].ends_with(|before: char| before.is_alphanumeric());
                let said = asset.text[at + call.len()..].split('\'').next().unwrap_or_default();
                assert!(other || keys.contains(&said), "{} says {said}", asset.name);
            }
        }
    }

    /// What comes from the API goes in as text: there is no other way in.
    #[test]
    fn nothing_is_put_in_as_html() {
        for asset in ASSETS {
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!asset.text.contains(way), "{}: {way}", asset.name);
            }
        }
    }
}
