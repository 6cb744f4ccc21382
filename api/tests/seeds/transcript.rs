//! What was typed and what came back, as it is written down beside this file. How to write one
//! stands at the head of `taxisvc.txt`.

use serde_json::Value;

use super::command::{Command, Load, Request};

/// Commands that follow one another on a server of their own.
pub(crate) struct Story {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// A command, and what must come of it.
pub(crate) struct Step {
    system: &'static str,
    pub(crate) line: usize,
    typed: String,
    pub(crate) does: Does,
}

pub(crate) enum Does {
    Ask(Request, Expected),
    Load(Load),
}

/// What comes back, among other things.
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

/// All that siege says when nothing went wrong.
pub(crate) const AVAILABLE: &str = "Availability: 100.00 %";

/// A command whose end is not reached.
struct Open<'a> {
    line: usize,
    typed: &'a str,
    below: Vec<&'a str>,
}

/// Reads a transcript, or says what of it cannot be read.
pub(crate) fn parse(system: &'static str, text: &str) -> Result<Vec<Story>, String> {
    let mut stories: Vec<(&str, Vec<Open<'_>>)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = format!("{system}.txt:{}", number + 1);
        if let Some(title) = line.strip_prefix("== ") {
            stories.push((title, Vec::new()));
        } else if let Some(typed) = line.strip_prefix("$ ") {
            let story = stories.last_mut().ok_or(format!("{at}: before the first story"))?;
            story.1.push(Open { line: number + 1, typed, below: Vec::new() });
        } else if !line.is_empty() && !line.starts_with('#') {
            let typed = stories.last_mut().and_then(|(_, steps)| steps.last_mut());
            typed.ok_or(format!("{at}: below no command"))?.below.push(line);
        }
    }
    if stories.is_empty() {
        return Err(format!("{system}.txt: there is no story"));
    }
    stories.into_iter().map(|(title, steps)| close(system, title, steps)).collect()
}

fn close(system: &'static str, title: &str, steps: Vec<Open<'_>>) -> Result<Story, String> {
    if steps.is_empty() {
        return Err(format!("{system}.txt: {title}: nothing is typed"));
    }
    let steps = steps.into_iter().map(|Open { line, typed, below }| {
        let does = Command::parse(typed).and_then(|command| Does::of(command, &below));
        let does = does.map_err(|why| format!("{system}.txt:{line}: {typed}\n  {why}"))?;
        Ok(Step { system, line, typed: typed.to_owned(), does })
    });
    let steps = steps.collect::<Result<_, String>>()?;
    Ok(Story { title: title.to_owned(), steps })
}

impl Does {
    fn of(command: Command, below: &[&str]) -> Result<Self, String> {
        match command {
            Command::Http(request) => Ok(Self::Ask(request, Expected::parse(below)?)),
            Command::Siege(load) if below == [AVAILABLE] => Ok(Self::Load(load)),
            Command::Siege(_) => Err(format!("below it stands {AVAILABLE}")),
        }
    }
}

impl Step {
    /// What is said when it does not come out so.
    pub(crate) fn failure(&self, why: &str) -> String {
        format!("{}.txt:{}: $ {}\n  {why}", self.system, self.line, self.typed)
    }
}

impl Expected {
    /// A status, headers, and a body.
    fn parse(below: &[&str]) -> Result<Self, String> {
        let (first, rest) = below.split_first().ok_or("nothing is said of what comes back")?;
        let status = first.split(' ').next().and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| format!("{first}: not a status"))?;
        let at = rest.iter().position(|line| line.starts_with('{')).unwrap_or(rest.len());
        let (headers, body) = rest.split_at(at);
        let header = |line: &&str| {
            let (name, value) = line.split_once(": ").ok_or(format!("{line}: not a header"))?;
            Ok((name.to_lowercase(), value.to_owned()))
        };
        let body = match body.concat() {
            none if none.is_empty() => None,
            json => Some(serde_json::from_str(&json).map_err(|error| format!("{json}: {error}"))?),
        };
        Ok(Self {
            status,
            headers: headers.iter().map(header).collect::<Result<_, String>>()?,
            body,
        })
    }
}

/// Whether what came has all that is expected, or where it does not: fields may be more, the items
/// of a list not.
pub(crate) fn has(expected: &Value, got: &Value, at: &str) -> Result<(), String> {
    match (expected, got) {
        (Value::Object(fields), Value::Object(got)) => {
            fields.iter().try_for_each(|(key, value)| {
                let at = format!("{at}.{key}");
                let found = got.get(key).ok_or(format!("expected {at} = {value}, got nothing"))?;
                has(value, found, &at)
            })
        }
        (Value::Array(items), Value::Array(got)) if items.len() != got.len() => {
            Err(format!("expected {at} to have {} items, got {}", items.len(), got.len()))
        }
        (Value::Array(items), Value::Array(got)) => items
            .iter()
            .zip(got)
            .enumerate()
            .try_for_each(|(index, (item, got))| has(item, got, &format!("{at}[{index}]"))),
        _ if expected == got => Ok(()),
        _ => Err(format!("expected {at} = {expected}, got {got}")),
    }
}
