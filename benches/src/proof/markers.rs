//! The place of the table in a text: between two lines that no reader of the page sees.

/// The line before the table.
pub const BEGIN: &str = "<!-- proof:begin -->";
/// The line after the table.
pub const END: &str = "<!-- proof:end -->";

/// The text has no place for the table. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// A marker is not there.
    #[error(
        "there is no line `{0}`: put `{BEGIN}` and `{END}`, each on a line of its own, where the table belongs"
    )]
    Missing(&'static str),
    /// A marker is there more than once.
    #[error("the line `{0}` is there more than once: leave the one where the table belongs")]
    Repeated(&'static str),
    /// The end comes first.
    #[error("the line `{END}` comes before `{BEGIN}`: it belongs after it")]
    Swapped,
}

/// The text with the table between the markers, in the place of what is there.
///
/// # Errors
/// When the markers are not there, each once and in their order.
pub fn replace(text: &str, table: &str) -> Result<String, MarkerError> {
    let (_, after_begin) = place(text, BEGIN)?;
    let (end, _) = place(text, END)?;
    if end < after_begin {
        return Err(MarkerError::Swapped);
    }
    let (before, after) = (text[..after_begin].trim_end(), &text[end..]);
    Ok(format!("{before}\n\n{}\n\n{after}", table.trim()))
}

/// Where the line of a marker begins and ends.
fn place(text: &str, marker: &'static str) -> Result<(usize, usize), MarkerError> {
    let lines = text.split_inclusive('\n').scan(0, |at, line| {
        let begin = *at;
        *at += line.len();
        Some((begin, *at, line))
    });
    let mut places = lines.filter(|(_, _, line)| line.trim() == marker);
    let (begin, end, _) = places.next().ok_or(MarkerError::Missing(marker))?;
    match places.next() {
        Some(_) => Err(MarkerError::Repeated(marker)),
        None => Ok((begin, end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_markers_is_replaced_and_nothing_else() {
        let text = "# A\n\n<!-- proof:begin -->\nold\n\nold\n<!-- proof:end -->\n\nmore";
        let once = replace(text, "| new |\n").unwrap();
        let expected = "# A\n\n<!-- proof:begin -->\n\n| new |\n\n<!-- proof:end -->\n\nmore";
        assert_eq!(once, expected);
        assert_eq!(replace(&once, "| new |").unwrap(), expected);
    }

    #[test]
    fn an_empty_place_is_filled() {
        let text = "<!-- proof:begin -->\n<!-- proof:end -->";
        let expected = "<!-- proof:begin -->\n\nnew\n\n<!-- proof:end -->";
        assert_eq!(replace(text, "new").unwrap(), expected);
    }

    #[test]
    fn a_text_without_its_markers_is_refused() {
        let cases = [
            ("nothing", MarkerError::Missing(BEGIN)),
            ("<!-- proof:begin -->\n", MarkerError::Missing(END)),
            (
                "words about `<!-- proof:begin -->`\n<!-- proof:end -->\n",
                MarkerError::Missing(BEGIN),
            ),
            (
                "<!-- proof:end -->\n<!-- proof:begin -->\n",
                MarkerError::Swapped,
            ),
            (
                "<!-- proof:begin -->\n<!-- proof:end -->\n<!-- proof:end -->\n",
                MarkerError::Repeated(END),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(replace(text, "new"), Err(expected), "{text}");
        }
    }
}
