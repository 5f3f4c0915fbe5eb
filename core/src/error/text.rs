//! What every text of an error is: one printable line of bounded length. Much of it comes from servers
//! and files, and ends on terminals and in logs. Knows nothing of errors.

/// In characters; more than any cause and next step need, less than a server may send.
pub(super) const LONGEST: usize = 2_000;

/// The text with spaces for what would break the line, move the cursor or turn the reading order, cut
/// to that many characters.
///
/// A space stands for each, so that nothing that was scrubbed apart grows together.
pub(super) fn printable(text: String, longest: usize) -> String {
    let fits = text.len() <= longest || text.chars().nth(longest).is_none();
    if fits && !text.contains(is_unprintable) {
        return text;
    }
    let clean = |c| if is_unprintable(c) { ' ' } else { c };
    if fits {
        return text.chars().map(clean).collect();
    }
    let kept = text.chars().take(longest.saturating_sub(1));
    kept.map(clean).chain(['…']).collect()
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Marks, embeddings, overrides and isolates of the reading order.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // The separators of lines and of paragraphs.
            | '\u{2028}' | '\u{2029}'
            // What is there and not seen.
            | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_line_or_turns_it_around_becomes_a_space() {
        for c in [
            '\n',
            '\r',
            '\t',
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{200f}',
            '\u{61c}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(printable(format!("a{c}b"), LONGEST), "a b", "{c:?}");
        }
    }

    #[test]
    fn texts_of_every_language_stay_as_they_are() {
        for text in [
            "",
            "日本語 été",
            "שלום עולם",
            "می\u{200c}خواهم",
            "👩\u{200d}💻",
        ] {
            assert_eq!(printable(text.to_owned(), LONGEST), text);
        }
    }

    #[test]
    fn the_length_is_counted_in_characters_and_what_was_cut_shows() {
        assert_eq!(printable("äöü".into(), 3), "äöü");
        assert_eq!(printable("äöüß".into(), 3), "äö…");
        assert_eq!(printable("a\nüß".into(), 3), "a …");
    }
}
