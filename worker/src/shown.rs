//! What strangers wrote, safe to stand in a line for people.

/// As many of its characters as somebody reads, none of which moves a cursor or ends a line.
pub(crate) fn shown(text: &str, chars_max: usize) -> String {
    let mut shown: String = text
        .chars()
        .take(chars_max)
        .map(|c| if c.is_control() { '.' } else { c })
        .collect();
    if text.chars().nth(chars_max).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_in_one_short_line() {
        assert_eq!(shown("a\nb\u{1b}[2J", 9), "a.b.[2J");
        assert_eq!(shown(&"x".repeat(60), 60).chars().count(), 60);
        let long = shown(&"x".repeat(61), 60);
        assert!(long.ends_with('…') && long.chars().count() == 61);
    }
}
