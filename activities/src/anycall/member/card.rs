//! What others are told of a card. Its number stays here.

use hansom_workflows::payment::Payer;

/// A number with fewer digits says too much of itself with its last four.
const LONG: usize = 9;

/// A card as it may be shown: all but the last four digits hidden, and how many those are. A
/// number that is short, or not of digits, is hidden altogether; where there is none, nothing is.
pub(super) fn masked(number: &str) -> String {
    if number.is_empty() {
        return String::new();
    }
    hidden(last_four(number).as_deref())
}

/// The same, of a card that has this token.
#[must_use]
pub fn masked_payer(Payer(token): &Payer) -> String {
    let last = token.rsplit('_').next();
    hidden(last.filter(|last| last.len() == 4 && last.bytes().all(|byte| byte.is_ascii_digit())))
}

fn hidden(last: Option<&str>) -> String {
    format!("****-****-****-{}", last.unwrap_or("****"))
}

/// A new token. It ends as the masked number does, so that cards which are declined for trying
/// things out are known.
pub(super) fn token(number: &str) -> Payer {
    let last = last_four(number).map_or(String::new(), |last| format!("_{last}"));
    Payer(format!("card_{:032x}{last}", rand::random::<u128>()))
}

fn last_four(number: &str) -> Option<String> {
    let digits = number.chars().filter(|c| !matches!(c, ' ' | '-'));
    let digits = digits.map(|c| c.is_ascii_digit().then_some(c)).collect::<Option<String>>()?;
    (digits.len() >= LONG).then(|| digits[digits.len() - 4..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: &str = "****-****-****-****";

    #[test]
    fn of_a_card_the_last_four_digits_are_shown_if_that_says_little_of_it() {
        for (number, shown) in [
            ("1234-5678-9012-3456", "****-****-****-3456"),
            ("1234 5678 9012 3456", "****-****-****-3456"),
            ("1234567890123456", "****-****-****-3456"),
            ("- 371449635398431 -", "****-****-****-8431"),
            ("123456789", "****-****-****-6789"),
            ("12345678", HIDDEN),
            ("1234", HIDDEN),
            ("7", HIDDEN),
            ("１２３４-５６７８-９０１２-３４５６", HIDDEN),
            ("1234-5678-9012-345６", HIDDEN),
            ("1234567890123456x", HIDDEN),
            ("1234.5678.9012.3456", HIDDEN),
            ("nana", HIDDEN),
            ("-", HIDDEN),
            ("", ""),
        ] {
            assert_eq!(masked(number), shown, "{number:?}");
            let of_token = masked_payer(&token(number));
            assert_eq!(of_token, if shown.is_empty() { HIDDEN } else { shown }, "{number:?}");
        }
    }

    #[test]
    fn a_token_says_no_more_than_that_and_is_another_each_time() {
        let (one, two) = (token("1234-5678-9012-0002"), token("1234-5678-9012-0002"));
        assert_ne!(one, two);
        assert!(one.0.ends_with("_0002"));
        for short in ["0002", "1234-０００２", "x"] {
            let Payer(token) = token(short);
            assert!(!token.ends_with("0002") && !token.contains(short), "{short}: {token}");
            assert_eq!(token.matches('_').count(), 1, "{short}: {token}");
        }
    }
}
