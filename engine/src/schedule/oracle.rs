//! Every line against another implementation, above all around the changes of clocks.
//!
//! Where we differ on purpose, the question is put so that both mean the same:
//!
//! * croner takes the two day fields together unless one is a bare `*`; for us
//!   any `*` in one of them means that both have to match, as crontab(5) says.
//! * croner knows one time of a day only as `30 2`; `0,30 2-4` it lets follow the
//!   clock, and so skips it in spring. For us those are six times of a day: it is
//!   asked for each.

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Schedule, ScheduleError};

/// Part of a field.
#[derive(Clone, Debug)]
enum Part {
    Star(u32),
    One(u32),
    Range(u32, u32, u32),
}

impl Part {
    fn text(&self) -> String {
        match self {
            Self::Star(1) => "*".to_owned(),
            Self::Star(step) => format!("*/{step}"),
            Self::One(value) => value.to_string(),
            Self::Range(first, last, 1) => format!("{first}-{last}"),
            Self::Range(first, last, step) => format!("{first}-{last}/{step}"),
        }
    }

    fn values(&self) -> Vec<u32> {
        match *self {
            Self::Star(_) => Vec::new(),
            Self::One(value) => vec![value],
            Self::Range(first, last, step) => (first..=last).step_by(step as usize).collect(),
        }
    }
}

type Field = Vec<Part>;

fn text(field: &[Part]) -> String {
    field.iter().map(Part::text).collect::<Vec<_>>().join(",")
}

fn part(least: u32, most: u32) -> impl Strategy<Value = Part> {
    let last =
        (least..=most).prop_flat_map(move |first| (Just(first), first..=most.min(first + 4)));
    prop_oneof![
        2 => Just(Part::Star(1)),
        2 => (2..=3.max(most / 2)).prop_map(Part::Star),
        4 => (least..=most).prop_map(Part::One),
        2 => (last, 1..=3_u32).prop_map(|((first, last), step)| Part::Range(first, last, step)),
    ]
}

fn field(least: u32, most: u32) -> impl Strategy<Value = Field> {
    let one = part(least, most).prop_map(|part| vec![part]);
    // The other one knows no bare `*` in a list.
    let listed = part(least, most).prop_map(|part| match part {
        Part::Star(1) => Part::Star(2),
        part => part,
    });
    prop_oneof![4 => one, 1 => prop::collection::vec(listed, 2..4)]
}

/// Minute, hour, day of month, month, day of week.
fn line() -> impl Strategy<Value = [Field; 5]> {
    let always = || Just(vec![Part::Star(1)]);
    let hour = prop_oneof![1 => field(0, 3), 1 => field(0, 23)];
    let day = prop_oneof![2 => always().boxed(), 1 => field(1, 31).boxed()];
    let month = prop_oneof![3 => always().boxed(), 1 => field(1, 12).boxed()];
    let weekday = prop_oneof![2 => always().boxed(), 1 => field(0, 7).boxed()];
    (field(0, 59), hour, day, month, weekday).prop_map(|(a, b, c, d, e)| [a, b, c, d, e])
}

/// Whole, half and two hours of difference, at night and at midnight, on both
/// hemispheres, for a month in between, and none.
const ZONES: [Tz; 15] = [
    Tz::Europe__Berlin,
    Tz::Europe__Dublin,
    Tz::Europe__Lisbon,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::America__St_Johns,
    Tz::America__Havana,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Casablanca,
    Tz::Africa__Cairo,
    Tz::Antarctica__Troll,
    Tz::Asia__Beirut,
    Tz::Pacific__Chatham,
    Tz::Asia__Seoul,
    Tz::UTC,
];

/// An instant, and as often as not one within hours of a change of the clocks.
fn instant() -> impl Strategy<Value = (Tz, DateTime<Utc>)> {
    let near = prop_oneof![Just(None), (-5 * 3_600..5 * 3_600_i64).prop_map(Some)];
    let seconds = 631_152_000..2_145_916_800_i64;
    (prop::sample::select(&ZONES[..]), seconds, near).prop_map(|(zone, seconds, near)| {
        let at = DateTime::from_timestamp_secs(seconds).unwrap();
        let change = near.and_then(|near| Some(change_after(zone, at)? + TimeDelta::seconds(near)));
        (zone, change.unwrap_or(at))
    })
}

/// The next change of the clocks, within a year.
fn change_after(zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let offset =
        |at: DateTime<Utc>| zone.from_utc_datetime(&at.naive_utc()).naive_local() - at.naive_utc();
    let days = (0..366).map(|day| at + TimeDelta::days(day));
    let mut low = days.take_while(|day| offset(*day) == offset(at)).last()?;
    let mut high = low + TimeDelta::days(1);
    if offset(high) == offset(low) {
        return None;
    }
    while high - low > TimeDelta::seconds(1) {
        let middle = low + (high - low) / 2;
        if offset(middle) == offset(low) { low = middle } else { high = middle }
    }
    Some(high)
}

fn croner(line: &str, both_days: bool) -> Cron {
    CronParser::builder().dom_and_dow(both_days).build().parse(line).unwrap()
}

/// What the other one says of the same question.
fn expected(fields: &[Field; 5], zone: Tz, after: DateTime<Utc>) -> DateTime<Utc> {
    let [minute, hour, day, month, weekday] = fields;
    let star = |field: &[Part]| field.iter().any(|part| matches!(part, Part::Star(_)));
    let both_days = star(day) || star(weekday);
    let days = [day, month, weekday].map(|field| text(field)).join(" ");
    let after = after.with_timezone(&zone);
    let lines: Vec<_> = if star(minute) || star(hour) {
        vec![format!("{} {} {days}", text(minute), text(hour))]
    } else {
        let (minutes, hours) = [minute, hour]
            .map(|field| field.iter().flat_map(Part::values).collect::<Vec<_>>())
            .into();
        hours
            .iter()
            .flat_map(|hour| minutes.iter().map(move |minute| (minute, hour)))
            .map(|(minute, hour)| format!("{minute} {hour} {days}"))
            .collect()
    };
    let next = lines
        .iter()
        .map(|line| croner(line, both_days).find_next_occurrence(&after, false).unwrap().to_utc());
    next.min().unwrap()
}

fn config() -> ProptestConfig {
    // It is red because of what has changed, and not by chance; other seeds are tried on purpose.
    let seed = std::env::var("HANSOM_SEED").ok().and_then(|seed| seed.parse().ok());
    let rng_seed = RngSeed::Fixed(seed.unwrap_or(1));
    let config = ProptestConfig::default();
    ProptestConfig { cases: 3_000, failure_persistence: None, rng_seed, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_line_is_due_when_another_implementation_says_so(
        fields in line(),
        (zone, after) in instant(),
    ) {
        let line = fields.iter().map(|field| text(field)).collect::<Vec<_>>().join(" ");
        let schedule = match Schedule::parse(&line, zone.name()) {
            Err(ScheduleError::Never(_)) => return Ok(()),
            schedule => schedule.unwrap(),
        };
        let mut at = after;
        for _ in 0..4 {
            let next = schedule.next(at).unwrap();
            let expected = expected(&fields, zone, at);
            prop_assert_eq!(next, expected, "{} in {} after {}", line, zone, at);
            at = next;
        }
    }
}
