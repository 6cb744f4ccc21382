//! Standard crontab lines, on a clock that knows no zone.
//!
//! The fields are read here, because the `cron` crate means other things by
//! them (seconds first, Sunday is 1, both day fields must match); it is handed
//! plain lists, and walks the calendar.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime};

use super::ScheduleError;

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of the values from `least`.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 7 is Sunday as well.
const WEEKDAY: Field = Field {
    name: "day of week",
    least: 0,
    most: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A crontab line.
#[derive(Clone, Debug)]
pub(super) struct Crontab {
    /// Due when any of them is: two, when either day field is enough.
    any: Vec<cron::Schedule>,
    /// Whether its minute or its hour is a `*`: it goes with the clock, whatever that does.
    pub(super) follows_clock: bool,
}

/// The values of a field, as bits, and whether a `*` is among what was written.
#[derive(Clone, Copy)]
struct Values {
    bits: u64,
    star: bool,
}

impl Crontab {
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let nickname = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let line = nickname.map_or(text, |(_, line)| line);
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(ScheduleError::Shape(text.to_owned()));
        };
        let (minute, hour) = (MINUTE.read(minute)?, HOUR.read(hour)?);
        let (day, month) = (DAY.read(day)?, MONTH.read(month)?);
        let mut weekday = WEEKDAY.read(weekday)?;
        if weekday.bits & (1 << 7) != 0 {
            weekday.bits = (weekday.bits & !(1 << 7)) | 1;
        }
        let line = |day: Values, weekday: Values| {
            // The crate counts its week from 1.
            let weekday = Values { bits: weekday.bits << 1, ..weekday };
            let line = format!(
                "0 {} {} {} {} {}",
                minute.list(&MINUTE),
                hour.list(&HOUR),
                day.list(&DAY),
                month.list(&MONTH),
                weekday.list(&Field { least: 1, ..WEEKDAY }),
            );
            cron::Schedule::from_str(&line).expect("lists of numbers within their fields")
        };
        let all = Values { bits: u64::MAX, star: true };
        let any = if day.star || weekday.star {
            vec![line(day, weekday)]
        } else {
            vec![line(day, all), line(all, weekday)]
        };
        let crontab = Self { any, follows_clock: minute.star || hour.star };
        // Such as the 30th of February.
        match crontab.next(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(crontab),
            None => Err(ScheduleError::Never(text.to_owned())),
        }
    }

    /// The first time after this one, on the clock's face; none after 2100.
    pub(super) fn next(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = after.and_utc();
        let next = self.any.iter().filter_map(|line| line.after(&after).next());
        next.min().map(|next| next.naive_utc())
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<Values, ScheduleError> {
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(part, step)?)),
                None => (part, None),
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.last()),
                Some((first, last)) => self.range(part, first, last)?,
                None if step.is_some() => {
                    let hint = format!("write {range}-{}/{}", self.last(), step.unwrap_or(1));
                    return Err(self.refuse(part, &hint));
                }
                None => {
                    let value = self.value(part, range)?;
                    (value, value)
                }
            };
            let step = usize::try_from(step.unwrap_or(1)).expect("at most the field's values");
            bits = (first..=last).step_by(step).fold(bits, |bits, value| bits | 1 << value);
        }
        Ok(Values { bits, star: text.contains('*') })
    }

    /// The last value, each counted once.
    fn last(&self) -> u32 {
        if self.least == WEEKDAY.least && self.most == WEEKDAY.most { 6 } else { self.most }
    }

    fn range(&self, part: &str, first: &str, last: &str) -> Result<(u32, u32), ScheduleError> {
        let first_value = self.value(part, first)?;
        let mut last_value = self.value(part, last)?;
        // Whoever writes `fri-sun` means the Sunday after.
        if last.eq_ignore_ascii_case("sun") && first_value > 0 {
            last_value = 7;
        }
        if first_value > last_value {
            return Err(self.refuse(part, "a range goes upwards; write two, with a comma"));
        }
        Ok((first_value, last_value))
    }

    fn step(&self, part: &str, text: &str) -> Result<u32, ScheduleError> {
        let step = number(text).filter(|step| (1..=self.most).contains(step));
        step.ok_or_else(|| self.refuse(part, &format!("a step is 1 to {}", self.most)))
    }

    fn value(&self, part: &str, text: &str) -> Result<u32, ScheduleError> {
        let named = || self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = || named().and_then(|at| u32::try_from(at).ok()).map(|at| at + self.least);
        let value = number(text).or_else(named);
        let fits = |value: &u32| (self.least..=self.most).contains(value);
        value.filter(fits).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            self.refuse(part, &format!("it is {} to {}{names}", self.least, self.most))
        })
    }

    fn refuse(&self, part: &str, why: &str) -> ScheduleError {
        ScheduleError::Field { field: self.name, part: part.to_owned(), why: why.to_owned() }
    }
}

impl Values {
    fn list(self, field: &Field) -> String {
        let values = (field.least..=field.most).filter(|value| self.bits & (1 << value) != 0);
        let values: Vec<_> = values.map(|value| value.to_string()).collect();
        let count = usize::try_from(field.most - field.least).expect("a field is small") + 1;
        // The crate is quicker where it need not look.
        if values.len() == count { "*".to_owned() } else { values.join(",") }
    }
}

/// A plain number: no sign, and not so long that it means something else.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && text.len() <= 2).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &str, after: &str) -> String {
        let after = NaiveDateTime::parse_from_str(after, "%Y-%m-%d %H:%M:%S").unwrap();
        Crontab::parse(line).unwrap().next(after).unwrap().format("%a %Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn the_five_fields_mean_what_crontab_says() {
        // 2026-11-21 is a Saturday.
        for (line, expected) in [
            ("30 2 * * *", "Sun 2026-11-22 02:30"),
            ("*/15 * * * *", "Sat 2026-11-21 10:15"),
            ("0 0 * * 0", "Sun 2026-11-22 00:00"),
            ("0 0 * * 7", "Sun 2026-11-22 00:00"),
            ("0 0 * * sun", "Sun 2026-11-22 00:00"),
            ("0 0 * * 1", "Mon 2026-11-23 00:00"),
            ("0 0 * * 5-7", "Sun 2026-11-22 00:00"),
            ("0 0 * * fri-SUN", "Sun 2026-11-22 00:00"),
            ("0 0 29 feb *", "Tue 2028-02-29 00:00"),
            ("5,50 9-17/4 * * *", "Sat 2026-11-21 13:05"),
            ("@weekly", "Sun 2026-11-22 00:00"),
            ("@Yearly", "Fri 2027-01-01 00:00"),
        ] {
            assert_eq!(next(line, "2026-11-21 10:07:30"), expected, "{line}");
        }
    }

    #[test]
    fn either_day_is_enough_when_both_are_restricted() {
        assert_eq!(next("0 0 13 * fri", "2026-11-21 00:00:00"), "Fri 2026-11-27 00:00");
        assert_eq!(next("0 0 13 * fri", "2026-12-12 00:00:00"), "Sun 2026-12-13 00:00");
        // A star in either, also with a step: then both have to match.
        assert_eq!(next("0 0 */2 * mon", "2026-11-21 00:00:00"), "Mon 2026-11-23 00:00");
        assert_eq!(next("0 0 */2 * mon", "2026-11-23 00:00:00"), "Mon 2026-12-07 00:00");
    }

    #[test]
    fn what_is_no_crontab_line_is_refused_with_a_reason() {
        for (line, reason) in [
            ("", "five fields"),
            ("0 30 2 * * *", "five fields"),
            ("@reboot", "five fields"),
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of month"),
            ("* * * 13 *", "month"),
            ("* * * foo *", "jan to dec"),
            ("* * * * 8", "day of week"),
            ("*/0 * * * *", "1 to 59"),
            ("*/60 * * * *", "1 to 59"),
            ("5/10 * * * *", "5-59/10"),
            ("0 22-2 * * *", "upwards"),
            ("0 0 L * *", "day of month"),
            ("0 0 ? * *", "day of month"),
            ("0 0 * * 5#2", "day of week"),
            ("+1 * * * *", "minute"),
            ("000001 * * * *", "minute"),
            ("1,,2 * * * *", "minute"),
            ("1- * * * *", "minute"),
            ("0 0 30 2 *", "never"),
            ("0 0 31 4,6 *", "never"),
        ] {
            let error = Crontab::parse(line).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
