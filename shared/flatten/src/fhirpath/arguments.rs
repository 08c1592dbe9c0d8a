//! Compiling the arguments of functions, and what functions return.

use regex::RegexBuilder;

use crate::model::{Datatype, Primitive, type_named};

use super::InvalidPath;
use super::compile::{CompiledPath, Compiler, PathScope, simplify};
use super::functions::{Parameter, Returns};
use super::program::{Argument, PathStep, TypeTest};
use super::syntax::{StepKind, Syntax, SyntaxKind, SyntaxStep, TypeName};
use super::types::{StaticType, TypeSet};

/// The types of `System`, FHIRPath section 4.1, and the primitive of FHIR that converts to each.
const SYSTEM: [(&str, Primitive); 8] = [
    ("Boolean", Primitive::Boolean),
    ("Date", Primitive::Date),
    ("DateTime", Primitive::DateTime),
    ("Decimal", Primitive::Decimal),
    ("Integer", Primitive::Integer),
    ("Long", Primitive::Integer64),
    ("String", Primitive::String),
    ("Time", Primitive::Time),
];

impl Compiler<'_> {
    /// Returns an argument, and what is known of its result.
    pub(super) fn argument(
        &mut self,
        parameter: Parameter,
        argument: &Syntax,
        around: PathScope<'_>,
        within: PathScope<'_>,
    ) -> Result<(Argument, StaticType), InvalidPath> {
        let outcome = match parameter {
            Parameter::Value => self.expression(argument, around)?,
            Parameter::Each => self.expression(argument, within)?,
            Parameter::Type => {
                let test = self.type_test(&type_name(argument)?)?;
                return Ok((Argument::Type(test), StaticType::default()));
            }
            Parameter::Pattern => {
                let SyntaxKind::Text(pattern) = &argument.kind else {
                    return Err(InvalidPath::new(
                        argument.at,
                        "a regular expression in quotes, because it is compiled with the view",
                    ));
                };
                // FHIRPath's single-line mode: `.` is any character, line breaks too.
                let pattern = RegexBuilder::new(pattern).dot_matches_new_line(true).build();
                let pattern = pattern.map_err(|_| {
                    InvalidPath::new(argument.at, "a regular expression that can be compiled")
                })?;
                return Ok((Argument::Pattern(self.pool.add_pattern(pattern)), StaticType::default()));
            }
        };
        let CompiledPath { op, of } = outcome;
        Ok((Argument::Op(op), of))
    }

    /// Returns the type behind a name, in `FHIR` or `System`.
    pub(super) fn type_test(&mut self, written: &TypeName) -> Result<TypeTest, InvalidPath> {
        let system =
            || SYSTEM.iter().find(|(name, _)| *name == written.name).map(|(_, primitive)| *primitive);
        let fhir = || Datatype::named(&written.name);
        let (datatype, is_system) = match written.namespace.as_deref() {
            None => match fhir() {
                Some(datatype) => (Some(datatype), false),
                None => (system().map(Datatype::Primitive), true),
            },
            Some("FHIR") => (fhir(), false),
            Some("System") if written.name == "Quantity" => {
                (type_named("Quantity").map(Datatype::Complex), false)
            }
            Some("System") => (system().map(Datatype::Primitive), true),
            Some(_) => (None, false),
        };
        let Some(datatype) = datatype else {
            let expected = format!("a type of FHIR or System; `{}` is none", written.name);
            return Err(InvalidPath::new(written.at, expected));
        };
        let to = self.pool.set(TypeSet::of([datatype]));
        Ok(TypeTest { datatype, to, system: is_system })
    }

    /// Returns what is left of a collection once only one type passes. A choice right before is narrowed to its JSON name.
    pub(super) fn narrow(&self, done: &mut Vec<PathStep>, from: &StaticType, test: &TypeTest) -> StaticType {
        let passes = |types: &TypeSet| types.is_unknown() || test.admits(types);
        if !test.system
            && let Some(PathStep::Member(mut member)) =
                done.pop_if(|step| matches!(step, PathStep::Member(_)))
        {
            for route in &mut member.routes {
                route.keys.retain(|(_, set)| passes(self.pool.datatypes(*set)));
                let exact = |set| self.pool.datatypes(set).datatypes() == [test.datatype];
                if member.any && route.keys.len() > 1 && route.keys.iter().any(|(_, set)| exact(*set)) {
                    route.keys.retain(|(_, set)| exact(*set));
                }
            }
            done.push(simplify(*member));
        }
        let some_pass = from.sets.iter().any(|&set| passes(self.pool.datatypes(set)));
        StaticType { sets: if some_pass { vec![test.to] } else { Vec::new() }, single: from.single }
    }

    /// Returns what is known of a function's result.
    pub(super) fn returned(
        &mut self,
        returns: Returns,
        done: &mut Vec<PathStep>,
        from: &StaticType,
        arguments: &[(Argument, StaticType)],
    ) -> StaticType {
        let mut results = arguments.iter().map(|(_, of)| of);
        match returns {
            Returns::Input => from.clone(),
            Returns::InputSingle => StaticType { single: true, ..from.clone() },
            Returns::One(primitive) => self.one(primitive),
            Returns::Each(primitive) => StaticType { single: from.single, ..self.one(primitive) },
            Returns::Many(primitive) => StaticType { single: false, ..self.one(primitive) },
            Returns::Boundary => StaticType { single: true, ..self.bounded(from) },
            Returns::Extensions => StaticType { sets: vec![self.pool.add_extension()], single: false },
            Returns::Narrowed => match arguments.first() {
                Some((Argument::Type(test), _)) => self.narrow(done, from, test),
                _ => from.clone(),
            },
            Returns::Combined => results.fold(from.clone(), |joined, result| joined.join(result, false)),
            Returns::Projected => {
                let each = results.next().cloned().unwrap_or_default();
                StaticType { single: from.single && each.single, ..each }
            }
            Returns::Branches => {
                let single = results.clone().skip(1).all(|result| result.single);
                results.skip(1).fold(StaticType::default(), |joined, result| joined.join(result, single))
            }
        }
    }

    /// Returns the type of boundaries: decimals for an integer, dateTimes for a Period; everything else keeps its type.
    fn bounded(&mut self, from: &StaticType) -> StaticType {
        let mut bounded = from.clone();
        for set in &mut bounded.sets {
            let types = self.pool.datatypes(*set).clone();
            if types.datatypes().iter().any(|datatype| datatype.name() == "Period") {
                let moment = [Primitive::DateTime].into_iter().chain(types.primitives());
                *set = self.pool.set(TypeSet::of(moment.map(Datatype::Primitive)));
                continue;
            }
            let whole = |primitive| {
                matches!(primitive, Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt)
            };
            if types.primitives().any(whole) {
                *set = self.pool.set(TypeSet::primitive(Primitive::Decimal));
            }
        }
        bounded
    }
}

/// Returns a type that was parsed as a path.
fn type_name(argument: &Syntax) -> Result<TypeName, InvalidPath> {
    let names = match &argument.kind {
        SyntaxKind::Path { start: None, steps } => steps.as_slice(),
        _ => &[],
    };
    match names {
        [SyntaxStep { at, kind: StepKind::Member(name) }] => {
            Ok(TypeName { at: *at, namespace: None, name: name.clone() })
        }
        [
            SyntaxStep { at, kind: StepKind::Member(space) },
            SyntaxStep { kind: StepKind::Member(name), .. },
        ] => Ok(TypeName { at: *at, namespace: Some(space.clone()), name: name.clone() }),
        _ => Err(InvalidPath::new(argument.at, "the name of a type, without quotes")),
    }
}
