//! A command as a person types it at a shell.

use std::time::Duration;

use serde_json::{Map, Value};

/// A load lasts so much shorter than it says.
pub(crate) const SHORTER: u32 = 20;

/// What is done when it is typed.
#[derive(Debug)]
pub(crate) enum Command {
    Http(Request),
    Siege(Load),
}

/// One request, to whichever server.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// The same request again and again, by many at a time.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) time: Duration,
    pub(crate) delay: Duration,
    pub(crate) request: Request,
}

impl Command {
    pub(crate) fn parse(typed: &str) -> Result<Self, String> {
        let words = words(typed)?;
        match words.split_first() {
            Some((name, rest)) if name == "http" => httpie(rest).map(Self::Http),
            Some((name, rest)) if name == "siege" => siege(rest).map(Self::Siege),
            _ => Err("it is neither http nor siege".to_owned()),
        }
    }
}

/// Words as a shell divides them: what is quoted, in part too, is not divided.
fn words(typed: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in typed.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quote.is_some() { Err("a quotation is not closed".to_owned()) } else { Ok(words) }
}

/// `[METHOD] URL [key=text | key:=json]…`; without a method it is POST where there is something
/// to send.
fn httpie(words: &[String]) -> Result<Request, String> {
    let is_method = |word: &String| word.bytes().all(|byte| byte.is_ascii_uppercase());
    let (method, words) = match words.split_first() {
        Some((method, rest)) if is_method(method) => (Some(method.clone()), rest),
        _ => (None, words),
    };
    let (url, items) = words.split_first().ok_or("there is no URL")?;
    let fields = items.iter().map(|item| field(item)).collect::<Result<Map<_, _>, _>>()?;
    let body = (!fields.is_empty()).then_some(Value::Object(fields));
    let usual = if body.is_some() { "POST" } else { "GET" };
    Ok(Request { method: method.unwrap_or_else(|| usual.to_owned()), path: path(url)?, body })
}

fn field(item: &str) -> Result<(String, Value), String> {
    let (key, value) = item.split_once('=').ok_or_else(|| format!("{item}: no `=`"))?;
    let (key, value) = match key.strip_suffix(':') {
        None => (key, Value::from(value)),
        Some(key) => {
            let json = serde_json::from_str(value);
            (key, json.map_err(|error| format!("{item}: {error}"))?)
        }
    };
    if key.is_empty() { Err(format!("{item}: no key")) } else { Ok((key.to_owned(), value)) }
}

/// What of a URL is left when another server stands in for its own.
fn path(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let at = rest.find('/').ok_or_else(|| format!("{url}: no path"))?;
    Ok(rest[at..].to_owned())
}

/// `-cCLIENTS -tTIME [-v] [--delay=TIME] [--content-type TYPE] 'URL[ POST BODY]'`.
fn siege(words: &[String]) -> Result<Load, String> {
    let (mut clients, mut time, mut delay, mut request) = (None, None, Duration::ZERO, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(text) = word.strip_prefix("-c") {
            clients = Some(text.parse().map_err(|_| format!("{word}: no number"))?);
        } else if let Some(text) = word.strip_prefix("-t") {
            time = Some(shortened(text)?);
        } else if let Some(text) = word.strip_prefix("--delay=") {
            delay = shortened(text)?;
        } else if word == "--content-type" {
            words.next().filter(|kind| *kind == "application/json").ok_or("it is JSON here")?;
        } else if word.starts_with('-') {
            if word != "-v" {
                return Err(format!("{word}: an option that is not known here"));
            }
        } else {
            request = Some(sent(word)?);
        }
    }
    let (clients, time) = (clients.ok_or("how many?")?, time.ok_or("how long?")?);
    Ok(Load { clients, time, delay, request: request.ok_or("there is no URL")? })
}

/// Seconds, as `40S`, made shorter.
fn shortened(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix(['S', 's']).and_then(|number| number.parse().ok());
    let seconds = seconds.ok_or_else(|| format!("{text}: no seconds"))?;
    Ok(Duration::from_secs(seconds) / SHORTER)
}

fn sent(url: &str) -> Result<Request, String> {
    match url.split_once(" POST ") {
        None => Ok(Request { method: "GET".to_owned(), path: path(url)?, body: None }),
        Some((url, body)) => {
            let body = serde_json::from_str(body).map_err(|error| format!("{body}: {error}"))?;
            Ok(Request { method: "POST".to_owned(), path: path(url)?, body: Some(body) })
        }
    }
}
