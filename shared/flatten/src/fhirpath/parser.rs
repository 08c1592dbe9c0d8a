//! From text to syntax tree, by the precedence table of FHIRPath (section 6, "Operator Precedence").

use super::InvalidPath;
use super::lexer::{PathToken, TokenKind, tokens};
use super::syntax::{
    BinaryOperator, StepKind, Syntax, SyntaxKind, SyntaxLink, SyntaxStep, TypeName, TypeOperator,
};

/// Deeper trees are refused, so that neither compiling nor evaluating can exhaust a thread's stack.
const DEPTH: usize = 100;

/// Parses a whole path.
pub(super) fn parse(path: &str) -> Result<Syntax, InvalidPath> {
    let mut parser = PathParser { tokens: tokens(path)?, next: 0, room: DEPTH };
    let syntax = parser.expression(0)?;
    match parser.peek() {
        TokenKind::End => Ok(syntax),
        TokenKind::Symbol("~" | "!~") => Err(parser.error("`=` or `!=`; equivalence (`~`) is not supported")),
        _ => Err(parser.error("an operator or the end of the path")),
    }
}

struct PathParser {
    tokens: Vec<PathToken>,
    next: usize,
    /// How many more levels may open.
    room: usize,
}

/// The calendar words of a quantity literal, FHIRPath section 4.1.8, and their UCUM units.
const CALENDAR: [(&str, &str); 8] = [
    ("year", "a"),
    ("month", "mo"),
    ("week", "wk"),
    ("day", "d"),
    ("hour", "h"),
    ("minute", "min"),
    ("second", "s"),
    ("millisecond", "ms"),
];

impl PathParser {
    /// Returns an expression whose operators bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Syntax, InvalidPath> {
        let Some(room) = self.room.checked_sub(1) else { return Err(self.too_deep()) };
        self.room = room;
        let mut left = self.unary()?;
        loop {
            if let Some(operator) = self.type_operator().filter(|_| BinaryOperator::TYPE_BINDING >= least) {
                let at = self.advance();
                let name = self.type_name()?;
                left = Self::node(at, SyntaxKind::Typed { operator, left: Box::new(left), name })?;
                continue;
            }
            let Some(operator) = self.operator().filter(|operator| operator.binding() >= least) else {
                break;
            };
            let at = self.advance();
            let right = self.expression(operator.binding() + 1)?;
            left = Self::linked(left, SyntaxLink { at, operator, operand: right })?;
        }
        self.room += 1;
        Ok(left)
    }

    /// Adds an operator to the chain on its left, or begins a chain. Chains are flat, whatever their length.
    fn linked(left: Syntax, link: SyntaxLink) -> Result<Syntax, InvalidPath> {
        let is_alike = |links: &[SyntaxLink]| {
            links.first().is_some_and(|first| first.operator.binding() == link.operator.binding())
        };
        match left {
            Syntax { at, depth, kind: SyntaxKind::Chain { first, mut links } } if is_alike(&links) => {
                let depth = depth.max(1 + link.operand.depth);
                if depth > DEPTH {
                    return Err(InvalidPath::new(link.at, TOO_DEEP));
                }
                links.push(link);
                Ok(Syntax { at, depth, kind: SyntaxKind::Chain { first, links } })
            }
            left => {
                let at = link.at;
                Self::node(at, SyntaxKind::Chain { first: Box::new(left), links: vec![link] })
            }
        }
    }

    fn unary(&mut self) -> Result<Syntax, InvalidPath> {
        match self.peek() {
            TokenKind::Symbol("-") => {
                let at = self.advance();
                let operand = self.nested(Self::unary)?;
                Self::node(at, SyntaxKind::Negate(Box::new(operand)))
            }
            TokenKind::Symbol("+") => {
                self.advance();
                self.nested(Self::unary)
            }
            _ => self.path(),
        }
    }

    /// Returns a term and the dots and brackets behind it.
    fn path(&mut self) -> Result<Syntax, InvalidPath> {
        let at = self.at();
        let (start, mut steps) = match self.peek().clone() {
            TokenKind::Word(word) if word != "true" && word != "false" => {
                (None, vec![self.member_or_call()?])
            }
            TokenKind::Quoted(_) => (None, vec![self.member_or_call()?]),
            _ => (Some(Box::new(self.term()?)), Vec::new()),
        };
        loop {
            if self.eat(".") {
                steps.push(self.member_or_call()?);
            } else if *self.peek() == TokenKind::Symbol("[") {
                let at = self.advance();
                let index = self.expression(0)?;
                self.expect("]")?;
                steps.push(SyntaxStep { at, kind: StepKind::Index(Box::new(index)) });
            } else {
                break;
            }
        }
        if steps.len() > DEPTH {
            return Err(InvalidPath::new(at, "at most 100 steps in one path"));
        }
        match start {
            Some(start) if steps.is_empty() => Ok(*start),
            start => Self::node(at, SyntaxKind::Path { start, steps }),
        }
    }

    fn term(&mut self) -> Result<Syntax, InvalidPath> {
        let at = self.at();
        let kind = match self.peek().clone() {
            TokenKind::Symbol("(") => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            TokenKind::Symbol("{") => {
                self.advance();
                self.expect("}")?;
                return Self::node(at, SyntaxKind::Nothing);
            }
            TokenKind::Word(word) => SyntaxKind::Boolean(word == "true"),
            TokenKind::Text(text) => SyntaxKind::Text(text),
            TokenKind::Number(digits) => return self.number(at, digits),
            TokenKind::Temporal(text) => SyntaxKind::Temporal(text),
            TokenKind::Variable(name) => SyntaxKind::Variable(name),
            TokenKind::Special(name) if name == "this" => SyntaxKind::This,
            TokenKind::Special(_) => return Err(self.error("`$this`, the only `$` name there is")),
            TokenKind::Quoted(_) | TokenKind::Symbol(_) | TokenKind::End => {
                return Err(self.error("a name, a literal, a constant or `(`"));
            }
        };
        self.advance();
        Self::node(at, kind)
    }

    /// Returns a number, or a quantity where a unit follows.
    fn number(&mut self, at: usize, value: String) -> Result<Syntax, InvalidPath> {
        self.advance();
        let unit = match self.peek() {
            TokenKind::Text(unit) => Some(unit.clone()),
            TokenKind::Word(word) => {
                let singular = word.strip_suffix('s').unwrap_or(word);
                CALENDAR.iter().find(|(name, _)| *name == singular).map(|(_, unit)| (*unit).to_owned())
            }
            _ => None,
        };
        match unit {
            Some(unit) => {
                self.advance();
                Self::node(at, SyntaxKind::Quantity { value, unit })
            }
            None => Self::node(at, SyntaxKind::Number(value)),
        }
    }

    fn member_or_call(&mut self) -> Result<SyntaxStep, InvalidPath> {
        let at = self.at();
        let name = match self.peek().clone() {
            TokenKind::Word(name) | TokenKind::Quoted(name) => name,
            TokenKind::Special(name) if name == "this" => {
                return Err(self.error("`$this` only at the start of a path"));
            }
            _ => return Err(self.error("the name of an element or a function")),
        };
        self.advance();
        if !self.eat("(") {
            return Ok(SyntaxStep { at, kind: StepKind::Member(name) });
        }
        let mut arguments = Vec::new();
        if !self.eat(")") {
            loop {
                arguments.push(self.expression(0)?);
                if self.eat(")") {
                    break;
                }
                if !self.eat(",") {
                    return Err(self.error("`,` or `)`"));
                }
            }
        }
        Ok(SyntaxStep { at, kind: StepKind::Call { name, arguments } })
    }

    fn type_name(&mut self) -> Result<TypeName, InvalidPath> {
        let at = self.at();
        let parenthesised = self.eat("(");
        let mut name = self.type_word()?;
        let mut namespace = None;
        if self.eat(".") {
            namespace = Some(std::mem::replace(&mut name, self.type_word()?));
        }
        if parenthesised {
            self.expect(")")?;
        }
        Ok(TypeName { at, namespace, name })
    }

    fn type_word(&mut self) -> Result<String, InvalidPath> {
        match self.peek().clone() {
            TokenKind::Word(name) | TokenKind::Quoted(name) => {
                self.advance();
                Ok(name)
            }
            _ => Err(self.error("the name of a type")),
        }
    }

    fn operator(&self) -> Option<BinaryOperator> {
        match self.peek() {
            TokenKind::Word(word) => BinaryOperator::of_word(word),
            TokenKind::Symbol(symbol) => BinaryOperator::of_symbol(symbol),
            _ => None,
        }
    }

    fn type_operator(&self) -> Option<TypeOperator> {
        match self.peek() {
            TokenKind::Word(word) if word == "is" => Some(TypeOperator::Is),
            TokenKind::Word(word) if word == "as" => Some(TypeOperator::As),
            _ => None,
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Syntax, InvalidPath>) -> Result<Syntax, InvalidPath> {
        let Some(room) = self.room.checked_sub(1) else { return Err(self.too_deep()) };
        self.room = room;
        let syntax = inner(self)?;
        self.room += 1;
        Ok(syntax)
    }

    fn node(at: usize, kind: SyntaxKind) -> Result<Syntax, InvalidPath> {
        let depth = 1 + match &kind {
            SyntaxKind::Path { start, steps } => {
                start.iter().map(|start| start.depth).chain(steps.iter().map(step_depth)).max().unwrap_or(0)
            }
            SyntaxKind::Negate(operand) => operand.depth,
            SyntaxKind::Typed { left, .. } => left.depth,
            SyntaxKind::Chain { first, links } => {
                links.iter().map(|link| link.operand.depth).fold(first.depth, usize::max)
            }
            _ => 0,
        };
        if depth > DEPTH { Err(InvalidPath::new(at, TOO_DEEP)) } else { Ok(Syntax { at, depth, kind }) }
    }

    fn too_deep(&self) -> InvalidPath {
        self.error(TOO_DEEP)
    }

    fn peek(&self) -> &TokenKind {
        self.tokens.get(self.next).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    /// Steps over a token and says where it stood.
    fn advance(&mut self) -> usize {
        let at = self.at();
        self.next += 1;
        at
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(next) if *next == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), InvalidPath> {
        if self.eat(symbol) { Ok(()) } else { Err(self.error(&format!("`{symbol}`"))) }
    }

    fn error(&self, expected: &str) -> InvalidPath {
        let end = self.tokens.last().map_or(0, |token| token.at);
        InvalidPath::new(self.tokens.get(self.next).map_or(end, |token| token.at), expected)
    }
}

const TOO_DEEP: &str = "fewer operators inside one another; a path may be 100 levels deep";

fn step_depth(step: &SyntaxStep) -> usize {
    match &step.kind {
        StepKind::Member(_) => 0,
        StepKind::Call { arguments, .. } => {
            arguments.iter().map(|argument| argument.depth).max().unwrap_or(0)
        }
        StepKind::Index(index) => index.depth,
    }
}
