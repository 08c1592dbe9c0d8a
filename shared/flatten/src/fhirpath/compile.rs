//! From syntax tree to program: names are resolved, types followed, functions looked up, constants bound.

use std::collections::BTreeMap;

use crate::model::{Datatype, Primitive, is_resource_type};

use super::InvalidPath;
use super::functions::{self, Returns};
use super::literal::Literal;
use super::navigate;
use super::parser::parse;
use super::program::{Argument, Call, Companions, Key, MemberStep, Op, PathStep, Pool, TypeTest};
use super::syntax::{StepKind, Syntax, SyntaxKind, SyntaxStep, TypeName, TypeOperator};
use super::types::{StaticType, TypeSet};

/// A compiled path.
#[derive(Debug)]
pub(crate) struct CompiledPath {
    pub(crate) op: Op,
    pub(crate) of: StaticType,
}

/// Compiles the paths of one view into one pool.
#[derive(Debug)]
pub(crate) struct Compiler<'c> {
    pub(crate) pool: &'c mut Pool,
    /// The constants of the view, by name, as literals of the pool.
    pub(crate) constants: &'c BTreeMap<String, u32>,
    /// What the resource is.
    pub(crate) resource: StaticType,
    /// Whether `%rowIndex` means anything here.
    pub(crate) has_rows: bool,
    /// Whether companions of primitives go along with their values.
    pub(crate) carry: bool,
    /// Set when a path asks for an extension that only carried companions can have.
    pub(crate) wants_carry: bool,
    /// Elements that no release knows, where all that is around them is known: slips of the pen, perhaps.
    pub(crate) unknown: Vec<InvalidPath>,
}

/// What the names of a path refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathScope<'s> {
    focus: &'s StaticType,
    start: &'s StaticType,
}

pub(super) type Compiled = Result<CompiledPath, InvalidPath>;

impl Compiler<'_> {
    /// Compiles a path that is run on `focus`.
    pub(crate) fn compile(&mut self, path: &str, focus: &StaticType) -> Compiled {
        let syntax = parse(path)?;
        self.expression(&syntax, PathScope { focus, start: focus })
    }

    pub(super) fn expression(&mut self, syntax: &Syntax, scope: PathScope<'_>) -> Compiled {
        match &syntax.kind {
            SyntaxKind::Nothing => {
                Ok(CompiledPath { op: Op::Nothing, of: StaticType { sets: Vec::new(), single: true } })
            }
            SyntaxKind::This => Ok(CompiledPath { op: Op::Focus, of: scope.focus.clone() }),
            SyntaxKind::Variable(name) => self.variable(syntax.at, name, scope),
            SyntaxKind::Path { start, steps } => self.path(start.as_deref(), steps, scope),
            SyntaxKind::Chain { first, links } => self.chain(first, links, scope),
            SyntaxKind::Typed { operator, left, name } => self.typed(*operator, left, name, scope),
            SyntaxKind::Negate(operand) => {
                let CompiledPath { op, of } = self.expression(operand, scope)?;
                self.check_number(operand.at, &of)?;
                let is_integer = self.is_integer(&of);
                Ok(CompiledPath { op: Op::Negate { operand: Box::new(op), is_integer }, of })
            }
            _ => {
                let literal = Literal::of(syntax)?;
                Ok(self.constant(literal))
            }
        }
    }

    fn constant(&mut self, literal: Literal) -> CompiledPath {
        let of = StaticType::one(self.pool.set(literal.type_set()));
        CompiledPath { op: Op::Literal(self.pool.add_literal(literal)), of }
    }

    fn variable(&mut self, at: usize, name: &str, scope: PathScope<'_>) -> Compiled {
        if let Some(&index) = self.constants.get(name) {
            let set = self.pool.literal(index).map(|(_, set)| *set);
            return Ok(CompiledPath {
                op: Op::Literal(index),
                of: StaticType { sets: set.into_iter().collect(), single: true },
            });
        }
        match name {
            "context" => Ok(CompiledPath { op: Op::Start, of: scope.start.clone() }),
            "resource" => Ok(CompiledPath { op: Op::Resource, of: self.resource.clone() }),
            "ucum" => Ok(self.constant(Literal::text("http://unitsofmeasure.org"))),
            "rowIndex" if self.has_rows => {
                let integer = self.pool.set(TypeSet::primitive(Primitive::Integer));
                Ok(CompiledPath { op: Op::RowIndex, of: StaticType::one(integer) })
            }
            _ => Err(InvalidPath::new(at, self.known_variables(name))),
        }
    }

    fn known_variables(&self, name: &str) -> String {
        let mut known: Vec<&str> = self.constants.keys().map(String::as_str).collect();
        known.extend(["context", "resource", "ucum"]);
        if self.has_rows {
            known.push("rowIndex");
        }
        format!("a constant; `%{name}` is none, there are %{}", known.join(", %"))
    }

    pub(super) fn one(&mut self, primitive: Primitive) -> StaticType {
        StaticType::one(self.pool.set(TypeSet::primitive(primitive)))
    }

    fn typed(
        &mut self,
        operator: TypeOperator,
        left: &Syntax,
        name: &TypeName,
        scope: PathScope<'_>,
    ) -> Compiled {
        let CompiledPath { op, of } = self.expression(left, scope)?;
        let (start, mut steps) = match op {
            Op::Path { start, steps } => (start, steps.into_vec()),
            op => (Box::new(op), Vec::new()),
        };
        let test = self.type_test(name)?;
        let (name, run, of): (_, functions::FunctionRun, _) = match operator {
            TypeOperator::Is => ("is", functions::is, self.one(Primitive::Boolean)),
            TypeOperator::As => ("as", functions::of_type, self.narrow(&mut steps, &of, &test)),
        };
        if name == "as" && always_passes(steps.last(), &test) {
            return Ok(CompiledPath { op: assemble(*start, steps), of });
        }
        steps.push(PathStep::Call(Box::new(Call { name, run, arguments: vec![Argument::Type(test)] })));
        Ok(CompiledPath { op: Op::Path { start, steps: steps.into() }, of })
    }

    fn path(&mut self, start: Option<&Syntax>, steps: &[SyntaxStep], scope: PathScope<'_>) -> Compiled {
        let mut at = match start {
            Some(start) => self.expression(start, scope)?,
            None => CompiledPath { op: Op::Focus, of: scope.focus.clone() },
        };
        let mut done = Vec::new();
        let mut rest = steps;
        if let Some(behind) = self.without_type_name(start, steps, scope)? {
            rest = behind;
        }
        while let Some((step, behind)) = rest.split_first() {
            at.of = match &step.kind {
                StepKind::Member(name) => self.member(&mut done, &at.of, (step.at, name), behind.first())?,
                StepKind::Index(index) => {
                    let index = self.expression(index, scope)?;
                    done.push(PathStep::Index(Box::new(index.op)));
                    StaticType { single: true, ..at.of }
                }
                StepKind::Call { name, arguments } => {
                    self.call(&mut done, &at.of, (step.at, name, arguments), scope)?
                }
            };
            rest = behind;
        }
        Ok(CompiledPath { op: assemble(at.op, done), of: at.of })
    }

    /// Skips the type at the beginning of a path that is run on it: `Patient.name`.
    fn without_type_name<'s>(
        &self,
        start: Option<&Syntax>,
        steps: &'s [SyntaxStep],
        scope: PathScope<'_>,
    ) -> Result<Option<&'s [SyntaxStep]>, InvalidPath> {
        let Some((SyntaxStep { at, kind: StepKind::Member(name) }, behind)) = steps.split_first() else {
            return Ok(None);
        };
        if start.is_some() || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Ok(None);
        }
        let here = scope.focus.sets.iter().flat_map(|&set| self.pool.datatypes(set).datatypes());
        let mut names = here.map(|datatype| datatype.name());
        let is_resource =
            scope.focus == &self.resource && matches!(name.as_str(), "Resource" | "DomainResource");
        if is_resource || names.any(|here| here == name) {
            return Ok(Some(behind));
        }
        if is_resource_type(name) {
            return Err(InvalidPath::new(
                *at,
                format!("an element of {}; `{name}` is another type", self.describe(scope.focus)),
            ));
        }
        Ok(None)
    }

    fn member(
        &mut self,
        done: &mut Vec<PathStep>,
        from: &StaticType,
        (at, name): (usize, &str),
        next: Option<&SyntaxStep>,
    ) -> Result<StaticType, InvalidPath> {
        let Some(target) = navigate::resolve(self.pool, from, name) else {
            let here = self.describe(from);
            return Err(InvalidPath::new(at, format!("a function, because {here} has no element `{name}`")));
        };
        if !target.known {
            let expected =
                format!("an element that some release has; {} has no `{name}`", self.describe(from));
            self.unknown.push(InvalidPath::new(at, expected));
        }
        let mut member = target.member;
        let beside = matches!(name, "extension" | "id") && self.may_be_primitive(from);
        if beside {
            self.note_companions(done.last(), from);
        }
        if self.may_be_primitive(&target.of) {
            member.companions = match next.map(|step| &step.kind) {
                Some(StepKind::Member(next)) if matches!(next.as_str(), "extension" | "id") => {
                    Companions::Counted
                }
                Some(StepKind::Call { name, .. }) if name == "extension" => Companions::Counted,
                _ if self.carry => Companions::Carried,
                _ => Companions::Ignored,
            };
        }
        // The extensions of a primitive stand in its companion, which a plain key does not look into.
        done.push(if beside { PathStep::Member(Box::new(member)) } else { simplify(member) });
        Ok(target.of)
    }

    /// Notes that companions must be carried, because an extension of a primitive is not right behind the element.
    pub(super) fn note_companions(&mut self, before: Option<&PathStep>, from: &StaticType) {
        let counted =
            matches!(before, Some(PathStep::Member(member)) if member.companions == Companions::Counted);
        self.wants_carry |= self.may_be_primitive(from) && !counted;
    }

    /// Refuses a key of what has none. Where nothing is known of the focus, running the path decides.
    fn check_focus(&self, at: usize, name: &str, from: &StaticType) -> Result<(), InvalidPath> {
        let (is_fit, wanted): (fn(Datatype) -> bool, _) = match name {
            "getResourceKey" => {
                (|datatype| matches!(datatype, Datatype::Complex(owner) if owner.is_resource()), "a resource")
            }
            "getReferenceKey" => (|datatype| datatype.name() == "Reference", "a Reference"),
            _ => return Ok(()),
        };
        let mut sets = from.sets.iter().map(|&set| self.pool.datatypes(set));
        let may_fit = |set: &TypeSet| set.is_unknown() || set.datatypes().iter().copied().any(is_fit);
        if from.sets.is_empty() || sets.any(may_fit) {
            return Ok(());
        }
        let here = self.describe(from);
        Err(InvalidPath::new(at, format!("{wanted} before `{name}`; what stands there is {here}")))
    }

    fn may_be_primitive(&self, of: &StaticType) -> bool {
        of.sets.iter().any(|&set| self.pool.datatypes(set).may_be_primitive())
    }

    fn call(
        &mut self,
        done: &mut Vec<PathStep>,
        from: &StaticType,
        (at, name, arguments): (usize, &str, &[Syntax]),
        scope: PathScope<'_>,
    ) -> Result<StaticType, InvalidPath> {
        let function = functions::named(name).ok_or_else(|| {
            InvalidPath::new(at, format!("a function; `{name}` is none, there are {}", functions::names()))
        })?;
        function.check_count(at, arguments.len())?;
        self.check_focus(at, name, from)?;
        if let (Returns::InputSingle, "first", Some(PathStep::Key(key))) =
            (function.returns, name, done.last_mut())
        {
            key.first = true;
            return Ok(StaticType { single: true, ..from.clone() });
        }
        if name == "extension" {
            self.note_companions(done.last(), from);
        }
        let inner = StaticType { single: true, ..from.clone() };
        let within = PathScope { focus: &inner, ..scope };
        let mut compiled = Vec::new();
        for (parameter, argument) in function.parameters.iter().zip(arguments) {
            compiled.push(self.argument(*parameter, argument, scope, within)?);
        }
        let of = self.returned(function.returns, done, from, &compiled);
        if let (Returns::Narrowed, Some((Argument::Type(test), _))) = (function.returns, compiled.first())
            && always_passes(done.last(), test)
        {
            return Ok(of);
        }
        let arguments = compiled.into_iter().map(|(argument, _)| argument).collect();
        done.push(PathStep::Call(Box::new(Call { name: function.name, run: function.run, arguments })));
        Ok(of)
    }

    pub(super) fn describe(&self, of: &StaticType) -> String {
        let names: Vec<String> = of.sets.iter().map(|&set| self.pool.datatypes(set).describe()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(" or ") }
    }
}

/// Returns whether the step before a type test yields that type only, so that no test is needed.
pub(super) fn always_passes(before: Option<&PathStep>, test: &TypeTest) -> bool {
    matches!(before, Some(PathStep::Key(key)) if key.to == test.to && !test.system)
}

/// Returns the step of a member. Most members have one JSON name and need no companion.
pub(super) fn simplify(mut member: MemberStep) -> PathStep {
    let lone = match member.routes.as_mut_slice() {
        [route] if member.any && member.companions == Companions::Ignored && route.keys.len() == 1 => {
            route.keys.pop()
        }
        _ => None,
    };
    match lone {
        Some((name, to)) => PathStep::Key(Key { name, to, first: false }),
        None => PathStep::Member(Box::new(member)),
    }
}

/// JSON is 64 levels deep at most; a longer walk is cut, so that nothing that follows it goes deeper than that.
const WALK: usize = 100;

/// Puts a start and its steps together; names right behind the focus become one walk.
fn assemble(start: Op, steps: Vec<PathStep>) -> Op {
    let mut keys = match start {
        Op::Focus => Vec::new(),
        Op::Walk(keys) => keys.into_vec(),
        start if steps.is_empty() => return start,
        start => return Op::Path { start: Box::new(start), steps: steps.into() },
    };
    let mut rest = Vec::new();
    for step in steps {
        match step {
            PathStep::Key(key) if rest.is_empty() && keys.len() < WALK => keys.push(key),
            step => rest.push(step),
        }
    }
    let start = if keys.is_empty() { Op::Focus } else { Op::Walk(keys.into()) };
    if rest.is_empty() { start } else { Op::Path { start: Box::new(start), steps: rest.into() } }
}
