//! Retry policies and time limits. Pure: jitter and elapsed time come from outside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When to try again, and when to stop trying.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Upper bound of the first wait. Default 1 s.
    #[serde(with = "millis")]
    pub initial_interval: Duration,
    /// Growth of that bound from attempt to attempt. Default 2.0; below 1 counts as 1.
    pub backoff_coefficient: f64,
    /// The bound grows no further than this. Default 60 s.
    #[serde(with = "millis")]
    pub maximum_interval: Duration,
    /// Attempts in all, the first included; 0 is unlimited. Default 10.
    pub maximum_attempts: u32,
    /// No new attempt this long after the first. Default none.
    #[serde(default, with = "option_millis", skip_serializing_if = "Option::is_none")]
    pub total_budget: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            backoff_coefficient: 2.0,
            maximum_interval: Duration::from_mins(1),
            maximum_attempts: 10,
            total_budget: None,
        }
    }
}

impl RetryPolicy {
    /// No longer wait than this is ever taken from a service's `Retry-After`.
    pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

    /// The policy of an undo: 30 attempts, 1 s growing to 5 min.
    pub fn undo() -> Self {
        Self { maximum_interval: Duration::from_mins(5), maximum_attempts: 30, ..Self::default() }
    }

    /// The same policy, but it never gives up.
    #[must_use]
    pub fn unlimited(self) -> Self {
        Self { maximum_attempts: 0, total_budget: None, ..self }
    }

    /// How long to wait after the failed attempt number `attempt` (from 1), or
    /// `None` when it was the last. `jitter` in `0.0..=1.0` spreads the wait over
    /// its whole range (full jitter); `retry_after` is a service's own wish.
    pub fn next(
        &self,
        attempt: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if self.maximum_attempts != 0 && attempt >= self.maximum_attempts {
            return None;
        }
        let bound = self.bound(attempt);
        // The longest that can be written down is, in seconds, rounded to more than that.
        let backoff = Duration::try_from_secs_f64(bound.as_secs_f64() * jitter.clamp(0.0, 1.0))
            .unwrap_or(bound);
        let wait = match retry_after {
            // Sooner than the policy says is not for the service to wish.
            Some(asked) => asked.min(Self::RETRY_AFTER_MAX).max(backoff),
            None => backoff,
        };
        match self.total_budget {
            Some(budget) if elapsed.saturating_add(wait) > budget => None,
            _ => Some(wait),
        }
    }

    /// How long an attempt that could not be sent is held back, the `held`-th time in a row
    /// (from 1): at least for as long as its service is known to take no requests (`after`), and
    /// the longer the more often. The bounds are those of a failed attempt, but widen to a minute
    /// also where that would be tried sooner: each wait is an event of its history. It is spread
    /// over the upper half of its range, so that a day of this is about 2 000 waits and no 17 000.
    /// `None` where the total budget would be over by then.
    pub fn hold(
        &self,
        held: u32,
        elapsed: Duration,
        after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        let widest = self.maximum_interval.max(Duration::from_mins(1));
        let half = Self { maximum_interval: widest, ..*self }.bound(held) / 2;
        let spread = Duration::try_from_secs_f64(half.as_secs_f64() * jitter.clamp(0.0, 1.0));
        let least = after.unwrap_or_default().min(Self::RETRY_AFTER_MAX).max(half);
        let wait = least.saturating_add(spread.unwrap_or(half));
        let over = |budget| elapsed.saturating_add(wait) > budget;
        (!self.total_budget.is_some_and(over)).then_some(wait)
    }

    fn bound(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = self.backoff_coefficient.max(1.0).powi(exponent);
        let bound = self.initial_interval.as_secs_f64() * factor;
        Duration::try_from_secs_f64(bound)
            .map_or(self.maximum_interval, |bound| bound.min(self.maximum_interval))
    }
}

/// Retries and time limits of one activity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityOptions {
    /// When to try again.
    pub retry: RetryPolicy,
    /// Limit of one attempt; past it the attempt failed technically. Default 10 s.
    #[serde(with = "millis")]
    pub start_to_close: Duration,
    /// Limit of all attempts together, from when the step was asked for: no attempt lasts
    /// longer, and none begins after. Default none.
    #[serde(default, with = "option_millis", skip_serializing_if = "Option::is_none")]
    pub schedule_to_close: Option<Duration>,
    /// An attempt that has not been heard of for this long failed technically. Default none:
    /// only the two limits above hold.
    #[serde(default, with = "option_millis", skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Duration>,
    /// What follows when attempts run out. Default [`OnUnknown::Verify`].
    #[serde(default, skip_serializing_if = "OnUnknown::is_default")]
    pub on_unknown: OnUnknown,
    /// What follows when an attempt cannot be sent. Default [`WhenUnavailable::Wait`].
    #[serde(default, skip_serializing_if = "WhenUnavailable::is_default")]
    pub when_unavailable: WhenUnavailable,
}

/// What follows when an attempt of an action could not be sent, because its service is known to
/// be in trouble ([`crate::Failure::Unavailable`]).
///
/// Undos and what follows the pivot wait, whatever is said here. The probe of an action does as
/// the action does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnavailable {
    /// It is held back, and tried again later: no attempt was made, so that none counts. Only
    /// [`ActivityOptions::schedule_to_close`] and [`RetryPolicy::total_budget`] end that.
    #[default]
    Wait,
    /// The step ends at once, for whoever waits for it: as [`crate::ActivityError::NotDone`]
    /// after 0 attempts where nothing of it was sent, and else as if its attempts had run out.
    Fail,
}

impl WhenUnavailable {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What follows when the attempts of an action run out, and nobody knows whether it happened.
///
/// Of undos and of what follows the pivot nothing but another try can follow: there it does
/// not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It is tried again, with the same key and without end.
    Retry,
    /// The probe that its contract declares ([`crate::Activity::probe`]) says what happened.
    /// Where there is none, or it cannot tell, as [`OnUnknown::Undo`].
    #[default]
    Verify,
    /// The body hears that it is unknown, and its undo is owed.
    Undo,
    /// The workflow is stuck until an operator tries again or cancels it; a declared
    /// probe is asked first.
    Park,
}

impl OnUnknown {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for ActivityOptions {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            start_to_close: Duration::from_secs(10),
            schedule_to_close: None,
            heartbeat: None,
            on_unknown: OnUnknown::Verify,
            when_unavailable: WhenUnavailable::Wait,
        }
    }
}

impl ActivityOptions {
    /// The default of an undo.
    pub fn undo() -> Self {
        Self { retry: RetryPolicy::undo(), ..Self::default() }
    }

    /// The same options, but it is tried until it succeeds.
    #[must_use]
    pub fn unlimited(self) -> Self {
        Self { retry: self.retry.unlimited(), schedule_to_close: None, ..self }
    }

    /// How long an attempt may last that begins `elapsed` after the step was asked for.
    pub fn attempt_limit(&self, elapsed: Duration) -> Duration {
        match self.schedule_to_close {
            Some(limit) => self.start_to_close.min(limit.saturating_sub(elapsed)),
            None => self.start_to_close,
        }
    }

    /// How long to wait after the failed attempt number `attempt`, as [`RetryPolicy::next`];
    /// `None` also where the next attempt would begin after `schedule_to_close`.
    pub fn next(
        &self,
        attempt: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        let wait = self.retry.next(attempt, elapsed, retry_after, jitter)?;
        self.is_in_time(elapsed, wait).then_some(wait)
    }

    /// How long an attempt that could not be sent is held back, as [`RetryPolicy::hold`];
    /// `None` also where it would begin after `schedule_to_close`.
    pub fn hold(
        &self,
        held: u32,
        elapsed: Duration,
        after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        let wait = self.retry.hold(held, elapsed, after, jitter)?;
        self.is_in_time(elapsed, wait).then_some(wait)
    }

    fn is_in_time(&self, elapsed: Duration, wait: Duration) -> bool {
        let begins = elapsed.saturating_add(wait);
        self.schedule_to_close.is_none_or(|limit| begins < limit)
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

mod option_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::millis::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn the_wait_doubles_up_to_its_maximum() {
        let policy = RetryPolicy::default();
        let waits: Vec<_> =
            (1..=9).map(|n| policy.next(n, SECOND, None, 1.0).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn no_interval_is_too_long_to_wait_for() {
        let (initial_interval, maximum_interval) = (Duration::MAX, Duration::MAX);
        let policy = RetryPolicy { initial_interval, maximum_interval, ..RetryPolicy::default() };
        for attempt in 1..=9 {
            assert_eq!(policy.next(attempt, SECOND, None, 1.0), Some(Duration::MAX));
            assert!(policy.next(attempt, SECOND, None, 0.5).unwrap() < Duration::MAX);
        }
        let policy = RetryPolicy { maximum_interval: SECOND, ..policy };
        assert_eq!(policy.next(1, SECOND, None, 1.0), Some(SECOND));
    }

    #[test]
    fn jitter_spreads_the_wait_over_its_whole_range() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.next(3, SECOND, None, 0.0), Some(Duration::ZERO));
        assert_eq!(policy.next(3, SECOND, None, 0.5), Some(2 * SECOND));
    }

    #[test]
    fn the_tenth_attempt_is_the_last_and_zero_means_no_last() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.next(10, SECOND, None, 1.0), None);
        assert!(policy.unlimited().next(u32::MAX, SECOND, None, 1.0).is_some());
    }

    #[test]
    fn a_budget_ends_the_retries_before_it_is_overdrawn() {
        let policy = RetryPolicy { total_budget: Some(5 * SECOND), ..RetryPolicy::default() };
        assert_eq!(policy.next(2, 3 * SECOND, None, 1.0), Some(2 * SECOND));
        assert_eq!(policy.next(2, 4 * SECOND, None, 1.0), None);
    }

    #[test]
    fn no_attempt_begins_or_lasts_past_the_limit_of_all_of_them() {
        let limit = Some(5 * SECOND);
        let options = ActivityOptions { schedule_to_close: limit, ..ActivityOptions::default() };
        assert_eq!(options.next(2, 2 * SECOND, None, 1.0), Some(2 * SECOND));
        assert_eq!(options.next(2, 3 * SECOND, None, 1.0), None, "it would begin at the limit");
        assert_eq!(options.attempt_limit(SECOND), 4 * SECOND);
        assert_eq!(options.attempt_limit(9 * SECOND), Duration::ZERO);
        assert_eq!(options.unlimited().attempt_limit(9 * SECOND), options.start_to_close);
    }

    #[test]
    fn what_is_held_back_waits_for_its_service_and_longer_each_time() {
        let policy = RetryPolicy::default();
        let after = Some(5 * SECOND);
        let hold = |jitter| move |n| policy.hold(n, SECOND, after, jitter).unwrap().as_secs_f64();
        assert_eq!(
            (1..=9).map(hold(0.0)).collect::<Vec<_>>(),
            [5., 5., 5., 5., 8., 16., 30., 30., 30.]
        );
        assert_eq!(
            (1..=9).map(hold(1.0)).collect::<Vec<_>>(),
            [5.5, 6., 7., 9., 16., 32., 60., 60., 60.]
        );
        let waits = |maximum_interval| {
            let policy = RetryPolicy { maximum_interval, ..policy };
            (1..=12).map(|n| policy.hold(n, SECOND, after, 1.0)).collect::<Vec<_>>()
        };
        assert_eq!(waits(10 * SECOND), waits(60 * SECOND), "each is an event");
        assert_eq!(waits(300 * SECOND).last(), Some(&Some(300 * SECOND)));
        let mut waits = (1..).map(hold(0.5));
        let mut time = 0.0;
        let a_day = std::iter::from_fn(|| {
            time += waits.next()?;
            (time < 86_400.0).then_some(())
        });
        let a_day = a_day.count();
        assert!((1_500..2_500).contains(&a_day), "{a_day} events of a day");
        let two_days = policy.hold(1, SECOND, Some(48 * HOUR), 0.0);
        assert_eq!(two_days, Some(RetryPolicy::RETRY_AFTER_MAX));
    }

    #[test]
    fn a_limit_of_all_attempts_holds_also_for_what_is_held_back() {
        let limit = Some(9 * SECOND);
        let options = ActivityOptions { schedule_to_close: limit, ..ActivityOptions::default() };
        let after = Some(5 * SECOND);
        assert_eq!(options.hold(1, 3 * SECOND, after, 0.0), Some(5 * SECOND));
        assert_eq!(options.hold(1, 4 * SECOND, after, 0.0), None, "it would begin at the limit");
        let policy = RetryPolicy { total_budget: limit, ..RetryPolicy::default() };
        assert_eq!(policy.hold(1, 4 * SECOND, after, 0.0), Some(5 * SECOND));
        assert_eq!(policy.hold(1, 5 * SECOND, after, 0.0), None);
    }

    #[test]
    fn a_service_may_ask_for_a_wait_but_not_for_a_day() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.next(1, SECOND, Some(7 * SECOND), 0.3), Some(7 * SECOND));
        let day = Duration::from_hours(24);
        assert_eq!(policy.next(1, SECOND, Some(day), 0.3), Some(RetryPolicy::RETRY_AFTER_MAX));
    }
}
