//! A browser, and a page in it as a person sees it: what is read, tapped and typed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams,
};
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel, LogEntrySource};
use chromiumoxide::cdp::js_protocol::runtime::{
    ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown,
};
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::{Browser, BrowserConfig, Element};
use futures_util::{Stream, StreamExt as _};
use hansom_postgres::testing::PATIENCE;
use serde_json::Value;
use tokio::task::JoinHandle;

const LOOK: Duration = Duration::from_millis(50);

/// For so long what a tap does is waited for before the next one.
const AGAIN: Duration = Duration::from_secs(5);

/// A browser that runs, with a profile of its own.
pub(crate) struct Running {
    browser: Browser,
    handling: JoinHandle<()>,
    profile: PathBuf,
}

impl Running {
    pub(crate) async fn close(&mut self) {
        // It may have crashed, and then the test has failed already.
        let _ = self.browser.close().await;
        let _ = self.browser.wait().await;
        self.handling.abort();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A page that is open.
pub struct Page {
    page: chromiumoxide::Page,
    complaints: Arc<Mutex<Vec<String>>>,
}

/// Opens a browser as wide as a desktop, in English. Nobody on the network is asked for anything.
pub(crate) async fn open(chromium: &Path, name: &str) -> (Running, Page) {
    let profile = std::env::temp_dir().join(format!("hansom-e2e-{}-{name}", std::process::id()));
    let config = BrowserConfig::builder()
        .chrome_executable(chromium)
        .new_headless_mode()
        .no_sandbox()
        .viewport(None)
        .window_size(1280, 900)
        .user_data_dir(&profile)
        .launch_timeout(PATIENCE)
        // Who waits for something can look twice.
        .request_timeout(PATIENCE / 2)
        .arg("disable-gpu")
        .arg("disable-quic")
        .arg("disable-component-update")
        .arg(("accept-lang", "en-US"))
        .build()
        .expect("the settings fit together");
    let (browser, mut handler) = Browser::launch(config).await.expect("Chromium starts");
    let handling = tokio::spawn(async move { while handler.next().await.is_some() {} });
    let page = browser.new_page("about:blank").await.expect("a tab opens");
    let page = Page { page, complaints: Arc::default() };
    page.listen().await;
    (Running { browser, handling, profile }, page)
}

impl Page {
    /// Hears what the browser has to say about the page.
    async fn listen(&self) {
        const HEARD: &str = "the browser tells its events";
        self.page.enable_log().await.expect(HEARD);
        self.page.enable_runtime().await.expect(HEARD);
        let thrown = self.page.event_listener::<EventExceptionThrown>().await.expect(HEARD);
        self.collect(thrown, |event| Some(format!("{:?}", event.exception_details)));
        let called = self.page.event_listener::<EventConsoleApiCalled>().await.expect(HEARD);
        self.collect(called, |event| {
            (event.r#type == ConsoleApiCalledType::Error).then(|| format!("{:?}", event.args))
        });
        let logged = self.page.event_listener::<EventEntryAdded>().await.expect(HEARD);
        self.collect(logged, |EventEntryAdded { entry }| {
            // A refusal of the API is an error to the console; the stories look at those.
            let url = entry.url.as_deref().unwrap_or_default();
            let own = url.contains("/page/") && !url.contains("/page/feed/");
            let refused = entry.source == LogEntrySource::Network && !own;
            let bad =
                entry.level == LogEntryLevel::Error || entry.source == LogEntrySource::Security;
            (bad && !refused).then(|| format!("{:?}: {} ({url})", entry.source, entry.text))
        });
    }

    fn collect<E: Send + Sync + 'static>(
        &self,
        mut events: impl Stream<Item = Arc<E>> + Send + Unpin + 'static,
        complaint: impl Fn(&E) -> Option<String> + Send + 'static,
    ) {
        let complaints = Arc::clone(&self.complaints);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let mut complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                complaints.extend(complaint(&event));
            }
        });
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens another address.
    pub async fn go(&self, url: &str) {
        self.page.goto(url).await.expect("the page loads");
    }

    /// Runs a script before anything of the pages that are opened from now on.
    pub async fn before(&self, script: &str) {
        self.page.evaluate_on_new_document(script).await.expect("it is kept");
    }

    /// What an expression is, in the page.
    pub async fn script(&self, expression: &str) -> Value {
        let value = self.page.evaluate_expression(expression).await.expect("it is evaluated");
        value.value().cloned().unwrap_or_default()
    }

    /// Waits until an expression is true, in the page or in the one that comes after it.
    pub async fn until(&self, expression: &str) {
        assert!(self.within(PATIENCE, expression).await, "it is still not so that {expression}");
    }

    /// As [`Self::until`], but for so long; whether it came true.
    async fn within(&self, patience: Duration, expression: &str) -> bool {
        let end = Instant::now() + patience;
        loop {
            let value = self.page.evaluate_expression(format!("Boolean({expression})")).await;
            if value.is_ok_and(|value| value.value() == Some(&Value::Bool(true))) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until what a selector finds can be seen and has this text in it.
    pub async fn sees(&self, selector: &str, text: &str) {
        let (selector, text) = (Value::from(selector), Value::from(text));
        let found = format!(
            "[...document.querySelectorAll({selector})]\
             .some((found) => found.checkVisibility() && found.textContent.includes({text}))"
        );
        self.until(&found).await;
    }

    /// Waits until nothing that a selector finds can be seen.
    pub async fn misses(&self, selector: &str) {
        let selector = Value::from(selector);
        let gone = format!(
            "[...document.querySelectorAll({selector})].every((found) => !found.checkVisibility())"
        );
        self.until(&gone).await;
    }

    /// Taps the button with this text, once it is there.
    pub async fn tap(&self, text: &str) {
        tap(self.button(text).await).await;
    }

    /// Taps what a selector finds, once it can be seen.
    pub async fn tap_on(&self, selector: &str) {
        tap(self.find(selector).await).await;
    }

    /// Taps it twice, as fast as a finger is.
    pub async fn double_tap(&self, text: &str) {
        let button = self.button(text).await;
        let twice = "function() { this.click(); this.click(); }";
        button.call_js_fn(twice, false).await.expect("it can be tapped");
    }

    async fn button(&self, text: &str) -> Element {
        let path = format!("//button[normalize-space()={}]", Value::from(text));
        let literal = Value::from(path.as_str());
        let there = format!(
            "document.evaluate({literal}, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE)\
             .singleNodeValue?.checkVisibility()"
        );
        self.until(&there).await;
        let button = self.page.find_xpath(path).await.expect("it was there");
        steady(button).await
    }

    /// Turns the switch of a fault, `payment.decline`, on where it is off, or off where it is on.
    pub async fn switch(&self, fault: &str, on: bool) {
        let selector = format!("[data-fault='{fault}']");
        let literal = Value::from(selector.as_str());
        let shows = |on: bool| {
            format!(
                "((found) => found?.ariaBusy !== 'true' && found?.ariaChecked === '{on}')\
                 (document.querySelector({literal}))"
            )
        };
        // What was read before the last tap may be drawn after it: a tap then does the same again.
        self.until(&shows(!on)).await;
        let patience = Instant::now() + PATIENCE;
        loop {
            self.tap_on(&selector).await;
            if self.within(AGAIN, &shows(on)).await {
                return;
            }
            assert!(Instant::now() < patience, "{fault} is still not {on}");
        }
    }

    /// Writes into the field of this name, in place of what is there.
    pub async fn write(&self, name: &str, text: &str) {
        let field = tap(self.find(&format!("input[name='{name}']")).await).await;
        field.call_js_fn("function() { this.select(); }", false).await.expect("it has a text");
        field.type_str(text).await.expect("it can be written in");
    }

    /// What a selector finds, once it can be seen.
    pub async fn find(&self, selector: &str) -> Element {
        self.sees(selector, "").await;
        steady(self.page.find_element(selector).await.expect("it was there")).await
    }

    /// Makes the window as wide as this, in CSS pixels; narrower than 600 it is a phone's.
    pub async fn resize(&self, width: i64, height: i64) {
        let size = SetDeviceMetricsOverrideParams::new(width, height, 1.0, width < 600);
        self.page.execute(size).await.expect("the window has a size");
    }

    /// As whoever prefers dark pages sees it, or light ones.
    pub async fn prefers(&self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let feature = MediaFeature::new("prefers-color-scheme", value);
        self.page.emulate_media_features(vec![feature]).await.expect("it can be preferred");
    }

    /// Keeps what the page looks like, and its HTML, in `target/e2e`.
    pub async fn keep(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e");
        std::fs::create_dir_all(&folder).expect("target/e2e can be made");
        let whole = ScreenshotParams::builder().full_page(true).build();
        let kept = self.page.save_screenshot(whole, folder.join(format!("{name}.png"))).await;
        if let Err(error) = kept {
            eprintln!("there is no picture of {name}: {error}");
        }
        if let Ok(html) = self.page.content().await {
            std::fs::write(folder.join(format!("{name}.html")), html).expect("it can be kept");
        }
    }
}

/// Waits until an element stays where it is: a tap on what moves goes beside it.
async fn steady(element: Element) -> Element {
    let place = "function() {\
        this.scrollIntoView({ block: 'center', behavior: 'instant' });\
        const at = this.getBoundingClientRect();\
        return `${at.x} ${at.y}`;\
    }";
    let mut before = None;
    loop {
        let now = element.call_js_fn(place, false).await.expect("it has a place").result.value;
        if before == now {
            return element;
        }
        before = now;
        tokio::time::sleep(LOOK).await;
    }
}

/// Taps an element, or what is in it, and again where it has moved from under the finger.
async fn tap(element: Element) -> Element {
    let listen = "function() {\
        this.isTapped = false;\
        const hit = () => { this.isTapped = true; };\
        this.addEventListener('click', hit, { capture: true, once: true });\
    }";
    let patience = Instant::now() + PATIENCE;
    let mut element = element;
    loop {
        element.call_js_fn(listen, false).await.expect("it is there");
        element.click().await.expect("it can be tapped");
        let tapped = element.call_js_fn("function() { return this.isTapped; }", false).await;
        // What cannot be asked any more has led to another page.
        if tapped.map_or(true, |tapped| tapped.result.value != Some(Value::Bool(false))) {
            return element;
        }
        assert!(Instant::now() < patience, "every tap goes beside it");
        element = steady(element).await;
    }
}
