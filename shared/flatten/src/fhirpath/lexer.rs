//! Tokens of FHIRPath, each with the character it begins at.

use super::InvalidPath;

/// A token and where it begins, in characters from the start of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathToken {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A bare word: a member, a function, a type, or an operator such as `and`.
    Word(String),
    /// A name between back quotes, which is never an operator.
    Quoted(String),
    /// `%name`
    Variable(String),
    /// `$name`
    Special(String),
    /// A string literal, decoded.
    Text(String),
    /// Digits as written.
    Number(String),
    /// A date, dateTime or time literal without its `@`.
    Temporal(String),
    /// Punctuation and operators of one or two characters.
    Symbol(&'static str),
    /// The end of the path.
    End,
}

const SYMBOLS: [&str; 22] = [
    "<=", ">=", "!=", "!~", ".", ",", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", "|", "&", "<", ">",
    "=", "~",
];

/// Returns the tokens of a path, the last of which is [`TokenKind::End`].
pub(super) fn tokens(path: &str) -> Result<Vec<PathToken>, InvalidPath> {
    let mut lexer = Lexer { characters: path.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space()?;
        let at = lexer.at;
        let kind = lexer.token()?;
        let end = kind == TokenKind::End;
        tokens.push(PathToken { at, kind });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
}

impl Lexer {
    fn token(&mut self) -> Result<TokenKind, InvalidPath> {
        let Some(first) = self.peek(0) else { return Ok(TokenKind::End) };
        match first {
            '\'' => self.quoted('\'').map(TokenKind::Text),
            '`' => self.quoted('`').map(TokenKind::Quoted),
            '%' => self.variable(),
            '$' => {
                self.at += 1;
                Ok(TokenKind::Special(self.word()))
            }
            '@' => self.temporal(),
            '0'..='9' => Ok(TokenKind::Number(self.number())),
            'A'..='Z' | 'a'..='z' | '_' => Ok(TokenKind::Word(self.word())),
            _ => self.symbol(),
        }
    }

    fn symbol(&mut self) -> Result<TokenKind, InvalidPath> {
        let found =
            SYMBOLS.iter().find(|symbol| symbol.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c)));
        match found {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(TokenKind::Symbol(symbol))
            }
            None => Err(self.error("a name, a literal or an operator")),
        }
    }

    fn variable(&mut self) -> Result<TokenKind, InvalidPath> {
        self.at += 1;
        let name = match self.peek(0) {
            Some(quote @ ('\'' | '`')) => self.quoted(quote)?,
            _ => self.word(),
        };
        if name.is_empty() {
            Err(self.error("the name of a constant"))
        } else {
            Ok(TokenKind::Variable(name))
        }
    }

    fn temporal(&mut self) -> Result<TokenKind, InvalidPath> {
        self.at += 1;
        let start = self.at;
        while let Some(next) = self.peek(0) {
            let digit_follows = matches!(self.peek(1), Some('0'..='9'));
            let inside = match next {
                '0'..='9' | 'T' | 'Z' | ':' => true,
                // A sign begins a month, a day or a zone only before a digit; `@2020.exists()` is a call.
                '-' | '+' | '.' => digit_follows,
                _ => false,
            };
            if !inside {
                break;
            }
            self.at += 1;
        }
        if self.at == start {
            Err(self.error("a date or a time after `@`"))
        } else {
            Ok(TokenKind::Temporal(self.from(start)))
        }
    }

    fn number(&mut self) -> String {
        let start = self.at;
        self.skip_digits();
        if self.peek(0) == Some('.') && matches!(self.peek(1), Some('0'..='9')) {
            self.at += 1;
            self.skip_digits();
        }
        self.from(start)
    }

    fn skip_digits(&mut self) {
        while matches!(self.peek(0), Some('0'..='9')) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while matches!(self.peek(0), Some('A'..='Z' | 'a'..='z' | '0'..='9' | '_')) {
            self.at += 1;
        }
        self.from(start)
    }

    /// Reads text between quotes, and decodes FHIRPath's escapes.
    fn quoted(&mut self, quote: char) -> Result<String, InvalidPath> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek(0) {
                None => return Err(InvalidPath::new(start, "the quote that closes this one")),
                Some('\\') => text.push(self.escape()?),
                Some(next) if next == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(next) => {
                    text.push(next);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, InvalidPath> {
        let decoded = match self.peek(1) {
            Some(same @ ('\'' | '"' | '`' | '\\' | '/')) => same,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('f') => '\u{c}',
            Some('u') => {
                let digits: String = (2..6).filter_map(|i| self.peek(i)).collect();
                let code =
                    digits.chars().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(&digits, 16));
                let decoded =
                    code.and_then(Result::ok).filter(|_| digits.len() == 4).and_then(char::from_u32);
                let decoded = decoded
                    .ok_or_else(|| self.error("four hexadecimal digits of a character after `\\u`"))?;
                self.at += 4;
                decoded
            }
            _ => {
                return Err(
                    self.error("an escape of FHIRPath: \\' \\\" \\` \\\\ \\/ \\n \\r \\t \\f or \\uXXXX")
                );
            }
        };
        self.at += 2;
        Ok(decoded)
    }

    fn skip_space(&mut self) -> Result<(), InvalidPath> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(' ' | '\t' | '\r' | '\n'), _) => self.at += 1,
                (Some('/'), Some('/')) => {
                    while !matches!(self.peek(0), None | Some('\n')) {
                        self.at += 1;
                    }
                }
                (Some('/'), Some('*')) => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), InvalidPath> {
        let start = self.at;
        self.at += 2;
        while (self.peek(0), self.peek(1)) != (Some('*'), Some('/')) {
            if self.peek(0).is_none() {
                return Err(InvalidPath::new(start, "the end `*/` of this comment"));
            }
            self.at += 1;
        }
        self.at += 2;
        Ok(())
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn from(&self, start: usize) -> String {
        self.characters.get(start..self.at).unwrap_or_default().iter().collect()
    }

    fn error(&self, expected: &str) -> InvalidPath {
        InvalidPath::new(self.at, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::{TokenKind, tokens};

    fn kinds(path: &str) -> Vec<TokenKind> {
        tokens(path).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn numbers_end_before_a_call() {
        let expected = [
            TokenKind::Number("1.0".into()),
            TokenKind::Symbol("."),
            TokenKind::Word("lowBoundary".into()),
            TokenKind::Symbol("("),
            TokenKind::Symbol(")"),
            TokenKind::End,
        ];
        assert_eq!(kinds("1.0.lowBoundary()"), expected);
    }

    #[test]
    fn dates_end_where_they_end() {
        let expected = [
            TokenKind::Temporal("2020-01".into()),
            TokenKind::Symbol("-"),
            TokenKind::Word("x".into()),
            TokenKind::End,
        ];
        assert_eq!(kinds("@2020-01 -x"), expected);
        assert_eq!(kinds("@T10:00:00.5").first(), Some(&TokenKind::Temporal("T10:00:00.5".into())));
        assert_eq!(
            kinds("@2020-01-01T10:00:00+02:00").first(),
            Some(&TokenKind::Temporal("2020-01-01T10:00:00+02:00".into()))
        );
    }

    #[test]
    fn escapes_and_comments() {
        assert_eq!(kinds(r"'a\'\u00e9\n' /* note */ // end").first(), Some(&TokenKind::Text("a'é\n".into())));
        assert_eq!(kinds("%`with-dash`").first(), Some(&TokenKind::Variable("with-dash".into())));
    }

    #[test]
    fn mistakes_have_their_character() {
        for (path, at) in
            [("name ?", 5), ("'abc", 0), ("é'x", 0), ("a /* b", 2), (r"'a\x'", 2), ("@", 1), ("%", 1)]
        {
            assert_eq!(tokens(path).unwrap_err().at, at, "{path}");
        }
    }
}
