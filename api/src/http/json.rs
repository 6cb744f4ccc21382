//! Strict reading of JSON, in one pass over the text itself.
//!
//! `serde_json` and Postgres keep the last of two equal keys, read what they cannot
//! write back (`1e400`, NUL), and recurse: each is refused here, at the door, with the
//! place where it is. What passes is carried on byte by byte.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use super::kinds::{self, Kind};
use super::problem::{Problem, echo};

/// How deeply objects and arrays may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// A member of the outermost object: its key, and where its value stands in the text.
pub(crate) type Member = (String, Range<usize>);

/// Checks that `text` is one JSON object with nothing around it, and finds its members.
pub(crate) fn read_object(text: &str) -> Result<Vec<Member>, Problem> {
    let mut scan = Scan { text, at: 0, path: Vec::new(), members: Vec::new() };
    scan.space();
    if scan.at == text.len() {
        return Err(Problem::new(kinds::BODY_NOT_OBJECT, "the body is empty; send a JSON object"));
    }
    let is_object = scan.peek() == Some(b'{');
    scan.value()?;
    scan.space();
    if scan.at < text.len() {
        let place = scan.place(scan.at);
        let detail = format!("one JSON document is read; something follows it at {place}");
        return Err(Problem::new(kinds::JSON_TRAILING, detail));
    }
    if !is_object {
        let detail = format!("the body is {}; send a JSON object", echo(text.trim()));
        return Err(Problem::new(kinds::BODY_NOT_OBJECT, detail));
    }
    Ok(scan.members)
}

/// One step of the way to a value, as a place in the text: rendered only when it is needed.
enum Step {
    Key(Range<usize>),
    Index(usize),
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    path: Vec<Step>,
    members: Vec<Member>,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), Problem> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    fn object(&mut self) -> Result<(), Problem> {
        self.enter()?;
        let mut keys: HashSet<Cow<'a, str>> = HashSet::new();
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax(self.at, "a key in double quotes"));
            }
            let quoted = self.string()?;
            let key = self.decode(&quoted);
            if keys.contains(&key) {
                let place = self.place(quoted.start);
                let detail = format!("the key {} stands twice, again at {place}", echo(&key));
                return Err(self.problem(kinds::JSON_DUPLICATE_KEY, detail));
            }
            self.space();
            if !self.take(b':') {
                return Err(self.syntax(self.at, "`:`"));
            }
            self.space();
            self.path.push(Step::Key(quoted));
            let start = self.at;
            self.value()?;
            self.path.pop();
            if self.path.is_empty() {
                self.members.push((key.clone().into_owned(), start..self.at));
            }
            keys.insert(key);
            self.space();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.syntax(self.at, "`,` or `}`"));
            }
        }
    }

    fn array(&mut self) -> Result<(), Problem> {
        self.enter()?;
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        for index in 0.. {
            self.space();
            self.path.push(Step::Index(index));
            self.value()?;
            self.path.pop();
            self.space();
            if self.take(b']') {
                break;
            }
            if !self.take(b',') {
                return Err(self.syntax(self.at, "`,` or `]`"));
            }
        }
        Ok(())
    }

    /// Steps over the opening bracket. The path is as long as the nesting is deep.
    fn enter(&mut self) -> Result<(), Problem> {
        if self.path.len() >= MAX_DEPTH {
            let place = self.place(self.at);
            let detail = format!("nested more than {MAX_DEPTH} levels deep at {place}");
            return Err(Problem::new(kinds::JSON_TOO_DEEP, detail).limit(MAX_DEPTH as u64));
        }
        self.at += 1;
        Ok(())
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// Steps over a string and says where it stands, quotes included.
    fn string(&mut self) -> Result<Range<usize>, Problem> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                Some(b'\\') => self.escape()?,
                Some(0) => return Err(self.nul()),
                Some(..0x20) => {
                    return Err(self.syntax(self.at, "an escaped control character"));
                }
                Some(_) => self.at += 1,
                None => return Err(self.syntax(self.at, "the end of the string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Problem> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.hex(start)?;
                match unit {
                    0 => {
                        self.at = start;
                        Err(self.nul())
                    }
                    0xd800..=0xdbff => self.low_surrogate(start),
                    0xdc00..=0xdfff => Err(self.syntax(start, "no lone surrogate")),
                    _ => Ok(()),
                }
            }
            _ => Err(self.syntax(start, r#"an escape: \" \\ \/ \b \f \n \r \t or \uXXXX"#)),
        }
    }

    fn low_surrogate(&mut self, high: usize) -> Result<(), Problem> {
        let follows = self.text.as_bytes()[self.at..].starts_with(br"\u");
        self.at += usize::from(follows);
        match follows.then(|| self.hex(high)).transpose()? {
            Some(0xdc00..=0xdfff) => Ok(()),
            _ => Err(self.syntax(high, "no lone surrogate")),
        }
    }

    /// Reads the four digits after the `u` that the scan stands at.
    fn hex(&mut self, escape: usize) -> Result<u32, Problem> {
        let digits = self.text.get(self.at + 1..self.at + 5);
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 5;
        unit.ok_or_else(|| self.syntax(escape, r"four hexadecimal digits after \u"))
    }

    fn digits(&mut self) -> Result<(), Problem> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax(start, "a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        self.take(b'-');
        if self.text[self.at..].starts_with("Infinity") {
            return Err(self.number_range(start..self.at + 8));
        }
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        let mantissa = start..self.at;
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let value: f64 = self.text[start..self.at].parse().unwrap_or(f64::INFINITY);
        let is_zero = !self.text[mantissa].bytes().any(|digit| matches!(digit, b'1'..=b'9'));
        let underflow = value == 0.0 && !is_zero;
        let negative_zero = is_zero && value.is_sign_negative();
        if value.is_infinite() || underflow || negative_zero {
            return Err(self.number_range(start..self.at));
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<(), Problem> {
        let rest = &self.text[self.at..];
        if let Some(word) = ["true", "false", "null"].iter().find(|word| rest.starts_with(**word)) {
            self.at += word.len();
            return Ok(());
        }
        match ["NaN", "Infinity"].iter().find(|word| rest.starts_with(**word)) {
            Some(word) => Err(self.number_range(self.at..self.at + word.len())),
            None => Err(self.syntax(self.at, "a value")),
        }
    }

    fn decode(&self, quoted: &Range<usize>) -> Cow<'a, str> {
        decode(&self.text[quoted.clone()])
    }

    fn number_range(&self, number: Range<usize>) -> Problem {
        let given = echo(&self.text[number]);
        let detail = format!(
            "{given} is not representable: a number is finite, not -0, and at least 5e-324 unless 0"
        );
        self.problem(kinds::NUMBER_RANGE, detail)
    }

    fn nul(&self) -> Problem {
        let place = self.place(self.at);
        self.problem(kinds::TEXT_NUL, format!("NUL (U+0000) cannot be stored; it is at {place}"))
    }

    fn syntax(&self, at: usize, wanted: &str) -> Problem {
        let at = at.min(self.text.len());
        let got = match self.text.get(at..).and_then(|rest| rest.chars().next()) {
            None => "the end of the body".to_owned(),
            Some(_) if wanted.contains("surrogate") => "half of a surrogate pair".to_owned(),
            Some(character) => echo(&character.to_string()),
        };
        let detail = format!("expected {wanted}, found {got} at {}", self.place(at));
        Problem::new(kinds::JSON_SYNTAX, detail)
    }

    fn problem(&self, kind: Kind, detail: String) -> Problem {
        let pointer = self.pointer();
        let problem = Problem::new(kind, detail);
        if pointer.is_empty() { problem } else { problem.field(pointer) }
    }

    fn pointer(&self) -> String {
        self.path.iter().fold(String::new(), |mut pointer, step| {
            match step {
                Step::Key(quoted) => {
                    let key = self.decode(quoted);
                    let key: String = key.chars().take(64).collect();
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Step::Index(index) => {
                    write!(pointer, "/{index}").expect("a String takes everything");
                }
            }
            pointer
        })
    }

    fn place(&self, at: usize) -> String {
        let before = &self.text.as_bytes()[..at];
        let line = before.split(|byte| *byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let column = self.text.get(start..at).map_or(at - start, |line| line.chars().count()) + 1;
        format!("line {line} column {column}")
    }
}

/// The text of a string that was checked; without escapes it is the source itself.
fn decode(quoted: &str) -> Cow<'_, str> {
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(quoted).map_or(Cow::Borrowed(inner), Cow::Owned)
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
