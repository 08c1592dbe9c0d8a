//! The syntax tree of a path, as the parser leaves it: names are not resolved and types are not known yet.

/// A part of a path and the character it begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) at: usize,
    /// How deep the tree below is; the parser refuses trees that would exhaust a thread's stack.
    pub(super) depth: usize,
    pub(super) kind: SyntaxKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SyntaxKind {
    /// `{}`
    Nothing,
    Boolean(bool),
    Number(String),
    Text(String),
    /// A date, dateTime or time without its `@`.
    Temporal(String),
    Quantity {
        value: String,
        unit: String,
    },
    /// `%name`
    Variable(String),
    /// `$this`
    This,
    /// A start and what is done to it, one step after the other.
    Path {
        start: Option<Box<Syntax>>,
        steps: Vec<SyntaxStep>,
    },
    Negate(Box<Syntax>),
    /// Operators that bind equally tightly, from left to right: `a + b - c`.
    Chain {
        first: Box<Syntax>,
        links: Vec<SyntaxLink>,
    },
    /// `is` and `as`, whose right side is a type.
    Typed {
        operator: TypeOperator,
        left: Box<Syntax>,
        name: TypeName,
    },
}

/// An operator of a chain and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxLink {
    pub(super) at: usize,
    pub(super) operator: BinaryOperator,
    pub(super) operand: Syntax,
}

/// What follows a dot, or an index in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxStep {
    pub(super) at: usize,
    pub(super) kind: StepKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepKind {
    Member(String),
    Call { name: String, arguments: Vec<Syntax> },
    Index(Box<Syntax>),
}

/// A type as written: `Quantity`, `FHIR.Quantity`, `System.String`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeName {
    pub(super) at: usize,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeOperator {
    Is,
    As,
}

/// The binary operators, FHIRPath section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Implies,
    Or,
    Xor,
    And,
    In,
    Contains,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Add,
    Subtract,
    Concatenate,
    Multiply,
    Divide,
    IntegerDivide,
    Remainder,
}

impl BinaryOperator {
    /// Returns how tightly it binds; higher is tighter. `is` and `as` bind at [`BinaryOperator::TYPE_BINDING`].
    pub(super) const fn binding(self) -> u8 {
        match self {
            Self::Implies => 1,
            Self::Or | Self::Xor => 2,
            Self::And => 3,
            Self::In | Self::Contains => 4,
            Self::Equal | Self::NotEqual => 5,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 6,
            Self::Union => 7,
            Self::Add | Self::Subtract | Self::Concatenate => 9,
            Self::Multiply | Self::Divide | Self::IntegerDivide | Self::Remainder => 10,
        }
    }

    pub(super) const TYPE_BINDING: u8 = 8;

    pub(super) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "implies" => Self::Implies,
            "or" => Self::Or,
            "xor" => Self::Xor,
            "and" => Self::And,
            "in" => Self::In,
            "contains" => Self::Contains,
            "div" => Self::IntegerDivide,
            "mod" => Self::Remainder,
            _ => return None,
        })
    }

    pub(super) fn of_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "|" => Self::Union,
            "+" => Self::Add,
            "-" => Self::Subtract,
            "&" => Self::Concatenate,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            _ => return None,
        })
    }
}
