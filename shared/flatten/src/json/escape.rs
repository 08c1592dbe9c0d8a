//! JSON string escapes (RFC 8259, section 7): checked while parsing, decoded when they are read.

use std::borrow::Cow;

/// Returns the text of a string's raw contents, borrowed when nothing is escaped.
///
/// The contents must have passed the parser; a malformed escape is kept as it stands.
#[must_use]
pub fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    unescape_into(raw, &mut text);
    Cow::Owned(text)
}

/// Appends the decoded text of a string's raw contents.
pub(super) fn unescape_into(mut raw: &str, text: &mut String) {
    while let Some((plain, escape)) = raw.split_once('\\') {
        text.push_str(plain);
        let (decoded, length) = decode(escape).unwrap_or(('\\', 0));
        text.push(decoded);
        raw = escape.get(length..).unwrap_or_default();
    }
    text.push_str(raw);
}

/// Decodes what follows a backslash: the character and how many bytes it took. `None` for a malformed
/// escape or a lone surrogate.
pub(super) fn decode(escape: &str) -> Option<(char, usize)> {
    let simple = match escape.as_bytes().first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(escape),
        _ => return None,
    };
    Some((simple, 1))
}

fn unicode(escape: &str) -> Option<(char, usize)> {
    let first = code_unit(escape.get(1..5)?)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 5));
    }
    let second = code_unit(escape.get(5..11)?.strip_prefix("\\u")?)?;
    if !(0xD800..0xDC00).contains(&first) || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    let scalar = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(scalar).map(|character| (character, 11))
}

fn code_unit(digits: &str) -> Option<u32> {
    // `from_str_radix` alone would take a sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::unescape;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decodes_what_serde_json_wrote(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescape(&written[1..written.len() - 1]), text);
        }
    }

    #[test]
    fn decodes_surrogate_pairs() {
        assert_eq!(unescape(r"\ud83d\ude00 \u00e9 \/"), "😀 é /");
    }
}
