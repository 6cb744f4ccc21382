//! Distance and fare, in whole numbers: no floats on the money path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far a ride goes, in hundredths of a kilometre; its JSON is that number.
/// Above 0 and at most 1 000 000 km.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Distance(i64);

/// Why something is not a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistanceError {
    /// Not a plain decimal number.
    #[error("must be a number")]
    NotANumber,
    /// Zero or less.
    #[error("must be greater than 0")]
    NotPositive,
    /// More than 1 000 000 km.
    #[error("must be at most 1000000")]
    TooFar,
    /// More than two decimals: nothing is rounded that is paid for.
    #[error("must have at most two decimals")]
    TooPrecise,
}

/// An amount of money, in whole Korean won. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fare(pub i64);

impl Distance {
    const MAX_HUNDREDTHS: i64 = 1_000_000 * 100;
    /// 10 000 won per kilometre.
    const WON_PER_HUNDREDTH: i64 = 100;

    /// What a ride this long costs.
    pub fn fare(self) -> Fare {
        Fare(self.0 * Self::WON_PER_HUNDREDTH)
    }

    /// In hundredths of a kilometre.
    pub fn hundredths(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Distance {
    type Error = DistanceError;

    fn try_from(hundredths: i64) -> Result<Self, DistanceError> {
        match hundredths {
            ..=0 => Err(DistanceError::NotPositive),
            1..=Self::MAX_HUNDREDTHS => Ok(Self(hundredths)),
            _ => Err(DistanceError::TooFar),
        }
    }
}

impl From<Distance> for i64 {
    fn from(distance: Distance) -> Self {
        distance.0
    }
}

impl FromStr for Distance {
    type Err = DistanceError;

    /// Reads kilometres: `20`, `100.01`, `0.50`.
    fn from_str(text: &str) -> Result<Self, DistanceError> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(DistanceError::NotANumber);
        }
        if negative {
            return Err(DistanceError::NotPositive);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 {
            return Err(DistanceError::TooPrecise);
        }
        // Digits only, so it can but be too large.
        let whole: i64 = whole.parse().map_err(|_| DistanceError::TooFar)?;
        let hundredths: i64 =
            format!("{fraction:0<2}").parse().map_err(|_| DistanceError::NotANumber)?;
        let all = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths));
        Self::try_from(all.ok_or(DistanceError::TooFar)?)
    }
}

impl fmt::Display for Distance {
    /// Kilometres with two decimals, as in `100.01`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fare(kilometres: &str) -> i64 {
        kilometres.parse::<Distance>().unwrap().fare().0
    }

    fn fault(kilometres: &str) -> DistanceError {
        kilometres.parse::<Distance>().unwrap_err()
    }

    #[test]
    fn a_kilometre_costs_ten_thousand_won() {
        assert_eq!(fare("20"), 200_000);
        assert_eq!(fare("20.0"), 200_000);
        assert_eq!(fare("20.50000"), 205_000);
        assert_eq!(fare("+0.01"), 100);
    }

    #[test]
    fn a_hundredth_past_the_limit_is_not_lost_in_rounding() {
        assert_eq!(fare("100"), 1_000_000);
        assert_eq!(fare("100.01"), 1_000_100);
        assert_eq!(fare("1000000"), 10_000_000_000);
    }

    #[test]
    fn what_is_no_distance_says_why() {
        for text in ["", ".", "1.", ".5", "ten", "1e2", "NaN", "inf", "1,5", " 1", "0x10", "1.2.3"]
        {
            assert_eq!(fault(text), DistanceError::NotANumber, "{text:?}");
        }
        for text in ["0", "-0", "0.00", "-3", "-1.5"] {
            assert_eq!(fault(text), DistanceError::NotPositive, "{text:?}");
        }
        for text in ["1000000.01", "99999999999999999999"] {
            assert_eq!(fault(text), DistanceError::TooFar, "{text:?}");
        }
        assert_eq!(fault("1.005"), DistanceError::TooPrecise);
    }

    #[test]
    fn an_out_of_range_distance_does_not_get_in_through_json_either() {
        assert!(serde_json::from_str::<Distance>("0").is_err());
        assert!(serde_json::from_str::<Distance>("100000001").is_err());
        assert_eq!(serde_json::from_str::<Distance>("10001").unwrap().to_string(), "100.01");
    }
}
