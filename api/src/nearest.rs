//! "Did you mean": the known word nearest to a mistyped one.

/// The word of `known` that `given` is most likely a misspelling of.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing costs the product of the lengths, and no known word is that long.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&given, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_nonsense_finds_none() {
        assert_eq!(nearest("amout_minor", ["currency", "amount_minor"]), Some("amount_minor"));
        assert_eq!(nearest("RUNING", ["running", "stuck"]), Some("running"));
        assert_eq!(nearest("'; DROP TABLE", ["running", "stuck"]), None);
    }
}
