//! **The functions of FHIRPath and of SQL on FHIR.** To add one, add a row to [`FUNCTIONS`] and its implementation
//! to the file of its kind.
//!
//! An implementation finds its input on the machine's stack from `base` on and leaves its result there.

mod collections;
mod conversions;
mod keys;
mod strings;

use crate::model::Primitive;

use super::InvalidPath;
use super::item::{Item, PathError};
use super::machine::Machine;
use super::program::Call;

pub(super) use collections::{is, make_distinct, of_type};
pub(crate) use keys::plain_reference;

/// How a function is run: the machine, the call with its arguments, where the input begins on the stack, and the
/// item that the call stands in.
pub(super) type FunctionRun = for<'m> fn(&mut Machine<'m>, &'m Call, usize, Item) -> Result<(), PathError>;

/// A function as paths know it.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// How many of the parameters must be given.
    required: usize,
    pub(super) returns: Returns,
    pub(super) run: FunctionRun,
}

/// What a function takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parameter {
    /// A path run where the call stands.
    Value,
    /// A path run on items of the input.
    Each,
    /// The name of a type.
    Type,
    /// A regular expression in quotes.
    Pattern,
}

/// What is known of a function's result when it is compiled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Returns {
    /// Some of the input.
    Input,
    /// At most one item of the input.
    InputSingle,
    /// At most one value.
    One(Primitive),
    /// At most one value for each item.
    Each(Primitive),
    /// Any number of values.
    Many(Primitive),
    /// A boundary of the input.
    Boundary,
    /// Extensions.
    Extensions,
    /// The input that is of the type in the argument.
    Narrowed,
    /// The input and the argument.
    Combined,
    /// What the argument is for each item.
    Projected,
    /// One of the arguments behind the first.
    Branches,
}

use Parameter::{Each, Pattern, Type, Value};
use Primitive::{Boolean, Date, Decimal, Integer, String as Text};

/// Every function, by name; with its parameters goes how many of them must be given.
const FUNCTIONS: &[Function] = &[
    function("all", (&[Each], 1), Returns::One(Boolean), collections::all),
    function("as", (&[Type], 1), Returns::Narrowed, collections::of_type),
    function("combine", (&[Value], 1), Returns::Combined, collections::combine),
    function("contains", (&[Value], 1), Returns::One(Boolean), strings::contains),
    function("count", (&[], 0), Returns::One(Integer), collections::count),
    function("distinct", (&[], 0), Returns::Input, collections::distinct),
    function("empty", (&[], 0), Returns::One(Boolean), collections::empty),
    function("endsWith", (&[Value], 1), Returns::One(Boolean), strings::ends_with),
    function("exists", (&[Each], 0), Returns::One(Boolean), collections::exists),
    function("extension", (&[Value], 1), Returns::Extensions, collections::extension),
    function("first", (&[], 0), Returns::InputSingle, collections::first),
    function("getReferenceKey", (&[Type], 0), Returns::Each(Text), keys::reference_key),
    function("getResourceKey", (&[], 0), Returns::Each(Text), keys::resource_key),
    function("highBoundary", (&[Value], 0), Returns::Boundary, conversions::high_boundary),
    function("iif", (&[Each, Each, Each], 2), Returns::Branches, collections::iif),
    function("is", (&[Type], 1), Returns::One(Boolean), collections::is),
    function("join", (&[Value], 0), Returns::One(Text), strings::join),
    function("last", (&[], 0), Returns::InputSingle, collections::last),
    function("length", (&[], 0), Returns::One(Integer), strings::length),
    function("lowBoundary", (&[Value], 0), Returns::Boundary, conversions::low_boundary),
    function("lower", (&[], 0), Returns::One(Text), strings::lower),
    function("matches", (&[Pattern], 1), Returns::One(Boolean), strings::matches),
    function("not", (&[], 0), Returns::One(Boolean), collections::not),
    function("ofType", (&[Type], 1), Returns::Narrowed, collections::of_type),
    function("replace", (&[Value, Value], 2), Returns::One(Text), strings::replace),
    function("select", (&[Each], 1), Returns::Projected, collections::select),
    function("skip", (&[Value], 1), Returns::Input, collections::skip),
    function("split", (&[Value], 1), Returns::Many(Text), strings::split),
    function("startsWith", (&[Value], 1), Returns::One(Boolean), strings::starts_with),
    function("substring", (&[Value, Value], 1), Returns::One(Text), strings::substring),
    function("tail", (&[], 0), Returns::Input, collections::tail),
    function("take", (&[Value], 1), Returns::Input, collections::take),
    function("toDate", (&[], 0), Returns::One(Date), conversions::to_date),
    function("toDecimal", (&[], 0), Returns::One(Decimal), conversions::to_decimal),
    function("toInteger", (&[], 0), Returns::One(Integer), conversions::to_integer),
    function("toString", (&[], 0), Returns::One(Text), conversions::to_string),
    function("trim", (&[], 0), Returns::One(Text), strings::trim),
    function("upper", (&[], 0), Returns::One(Text), strings::upper),
    function("where", (&[Each], 1), Returns::Input, collections::filter),
];

const fn function(
    name: &'static str,
    (parameters, required): (&'static [Parameter], usize),
    returns: Returns,
    run: FunctionRun,
) -> Function {
    Function { name, parameters, required, returns, run }
}

pub(super) fn named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Returns the names of all functions, for people.
pub(super) fn names() -> String {
    let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    names.join(", ")
}

impl Function {
    pub(super) fn check_count(&self, at: usize, given: usize) -> Result<(), InvalidPath> {
        let most = self.parameters.len();
        if (self.required..=most).contains(&given) {
            return Ok(());
        }
        let count = match (self.required, most) {
            (0, 0) => "no argument".to_owned(),
            (1, 1) => "one argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        Err(InvalidPath::new(at, format!("{count} for `{}`, not {given}", self.name)))
    }
}
