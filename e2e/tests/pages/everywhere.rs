//! What holds for every page.

use hansom_e2e::{Page, Scheme, story};

const PAGES: [&str; 5] = ["/", "/page/taxisvc", "/page/anycall", "/page/move", "/page/bike"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_page_leads_to_every_system() {
    story("home", "/", async |page, _| {
        page.sees("h1", "Sagas you can watch").await;
        let links = page.script("document.querySelectorAll('.card').length").await;
        assert_eq!(links, PAGES.len() - 1);
        page.tap_on(".card").await;
        page.sees("h1", "A taxi, paid in advance").await;
        page.sees(".connection", "Live").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_language_is_remembered() {
    story("language", "/", async |page, server| {
        assert_eq!(page.script("document.documentElement.lang").await, "en");
        page.tap("한국어").await;
        page.sees("h1", "눈으로 보는 사가").await;
        assert_eq!(page.script("document.documentElement.lang").await, "ko");
        page.go(&format!("{}/page/taxisvc", server.url())).await;
        page.sees("h1", "선결제 택시").await;
        page.tap("English").await;
        page.sees("h1", "A taxi, paid in advance").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_fits_a_phone_and_a_finger() {
    story("phone", "/", async |page, server| {
        page.resize(360, 740).await;
        for path in PAGES {
            page.go(&format!("{}{path}", server.url())).await;
            fits(page, path, "English").await;
            page.tap("한국어").await;
            fits(page, path, "한국어").await;
            page.tap("English").await;
        }
    })
    .await;
}

async fn fits(page: &Page, path: &str, language: &str) {
    page.sees("h1", "").await;
    let width = page.script("document.documentElement.scrollWidth").await;
    assert_eq!(width, 360, "{path} in {language} is wider than the phone");
    let small = "[...document.querySelectorAll('button, input:not([type=radio]), .bar a, .links a, .card')]\
        .filter((one) => one.checkVisibility() && !one.matches('.skip'))\
        .filter((one) => one.getBoundingClientRect().height < 44)\
        .map((one) => one.outerHTML)";
    assert_eq!(page.script(small).await, serde_json::json!([]), "{path} in {language}");
}

/// A field without a label, or a button without a name, is nothing to a screen reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_has_a_name() {
    story("names", "/", async |page, server| {
        for path in PAGES {
            page.go(&format!("{}{path}", server.url())).await;
            page.sees("h1", "").await;
            let nameless = "[...document.querySelectorAll('button, a, input, section')]\
                .filter((one) => !one.textContent.trim() && !one.ariaLabel && !one.labels?.length)\
                .map((one) => one.outerHTML)";
            assert_eq!(page.script(nameless).await, serde_json::json!([]), "{path}");
            assert_eq!(page.script("document.querySelectorAll('h1').length").await, 1, "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_places_a_call() {
    story("keyboard", "/page/taxisvc", async |page, _| {
        let name = page.find("input[name=userName]").await;
        name.focus().await.expect("it can be reached");
        name.press_key("Enter").await.expect("it is a field");
        page.sees(".headline", "A driver is on the way").await;
        let end = page.find(".panel:nth-child(2) .primary").await;
        end.focus().await.expect("it can be reached");
        end.press_key("Enter").await.expect("it is a button");
        page.sees(".headline", "You have arrived").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_listen_asks() {
    story("polling", "/", async |page, server| {
        let deaf = "window.EventSource = class {\
            constructor() { setTimeout(() => this.onerror(), 10); }\
            addEventListener() {}\
            close() {}\
        }";
        page.before(deaf).await;
        page.go(&format!("{}/page/taxisvc", server.url())).await;
        page.sees(".connection", "asking every two seconds").await;
        page.tap("Call a taxi").await;
        page.sees(".headline", "A driver is on the way").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_lets_its_listeners_go() {
    story("stopping", "/page/taxisvc", async |page, server| {
        page.sees(".connection", "Live").await;
        server.begin_to_stop();
        page.sees(".connection", "asking every two seconds").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_prefers_dark_pages_sees_dark_ones() {
    story("dark", "/", async |page, _| {
        let paper = "getComputedStyle(document.body).backgroundColor";
        page.prefers(Scheme::Light).await;
        page.until(&format!("{paper} === 'rgb(246, 244, 239)'")).await;
        page.prefers(Scheme::Dark).await;
        page.until(&format!("{paper} === 'rgb(20, 20, 19)'")).await;
    })
    .await;
}
