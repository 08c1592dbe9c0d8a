//! The machine: runs programs over one resource, on a stack that is used again for every row.

use std::borrow::Cow;
use std::ops::Range;

use regex::Regex;

use crate::json::{Document, JsonKind, Node};
use crate::links::{Link, Links};

use super::decimal::Decimal;
use super::item::{ElementRef, Item, ItemValue, NO_NODE, PathError, PathMatch, ScratchSpan};
use super::program::{Call, Key, Op, PathStep, Pool};
use super::temporal::TemporalKind;
use super::types::SetId;

/// What a resource cannot say of itself: the key of its row, and what the URNs of its Bundle point at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'c> {
    /// The key of the resource's row, `Patient/123`.
    pub key: &'c str,
    /// The links of the Bundle that the resource stands in.
    pub links: Option<&'c Links>,
}

impl<'c> Context<'c> {
    /// Returns the context of a resource outside of any Bundle.
    #[must_use]
    pub const fn of(key: &'c str) -> Self {
        Self { key, links: None }
    }

    pub(super) fn look_up(self, reference: &str) -> Option<(Cow<'_, str>, Link)> {
        self.links?.look_up(reference)
    }

    /// Returns whether a reference with a type and an id may mean something else than it says.
    pub(crate) fn looks_up_urls(self) -> bool {
        self.links.is_some_and(Links::looks_up_urls)
    }
}

/// Memory that every run uses again.
#[derive(Debug, Default)]
pub struct Scratch {
    stack: Vec<Item>,
    text: String,
    numbers: Vec<Decimal>,
}

/// One resource under the programs of one pool.
#[derive(Debug)]
pub(crate) struct Machine<'m> {
    pool: &'m Pool,
    document: &'m Document<'m>,
    root: Node<'m>,
    resource: Item,
    context: Context<'m>,
    scratch: &'m mut Scratch,
    /// What `%context` is.
    start: Item,
    /// What `%rowIndex` is.
    pub(crate) row_index: usize,
    /// Whether an item was made whose key is not known yet.
    has_pending: bool,
}

impl<'m> Machine<'m> {
    pub(crate) fn new(
        pool: &'m Pool,
        (root, types): (Node<'m>, SetId),
        context: Context<'m>,
        scratch: &'m mut Scratch,
    ) -> Self {
        scratch.stack.clear();
        scratch.text.clear();
        scratch.numbers.clear();
        let resource = Item::Element(ElementRef { node: root.index(), companion: NO_NODE, set: types });
        Self {
            pool,
            document: root.document(),
            root,
            resource,
            context,
            scratch,
            start: resource,
            row_index: 0,
            has_pending: false,
        }
    }

    pub(crate) const fn resource(&self) -> Item {
        self.resource
    }

    pub(crate) const fn pool(&self) -> &'m Pool {
        self.pool
    }

    /// Runs a whole path; its items are left on the stack.
    pub(crate) fn start(&mut self, op: &'m Op, focus: Item) -> Result<(), PathError> {
        self.start = focus;
        self.run(op, focus)
    }

    /// Runs a whole path whose leading walk has been made already. Where it led to several items they are
    /// looked for again, this time all of them.
    pub(crate) fn start_from(&mut self, op: &'m Op, focus: Item, found: PathMatch) -> Result<(), PathError> {
        let (Some(keys), true) = (op.leading_walk(), found.count < 2) else { return self.start(op, focus) };
        self.start = focus;
        let base = self.len();
        if let (1, Some(key)) = (found.count, keys.last()) {
            self.push(Item::Element(ElementRef { node: found.node, companion: NO_NODE, set: key.to }));
        }
        if let Op::Path { steps, .. } = op {
            for step in steps {
                self.step(step, base, focus)?;
            }
        }
        Ok(())
    }

    pub(super) fn run(&mut self, op: &'m Op, focus: Item) -> Result<(), PathError> {
        match op {
            Op::Nothing => {}
            Op::Focus => self.push(focus),
            Op::Start => self.push(self.start),
            Op::Resource => self.push(self.resource),
            Op::RowIndex => self.push(Item::integer(self.row_index)),
            Op::Literal(index) => self.push(Item::Literal(*index)),
            Op::Walk(keys) => {
                if let Item::Element(element) = focus {
                    self.walk(self.node(element), keys);
                }
            }
            Op::Path { start, steps } => {
                let base = self.len();
                self.run(start, focus)?;
                for step in steps {
                    self.step(step, base, focus)?;
                }
            }
            Op::Negate { operand, is_integer } => {
                let base = self.len();
                self.run(operand, focus)?;
                self.negate(base, *is_integer)?;
            }
            Op::Chain { first, links } => self.chain(first, links, focus)?,
            Op::Literals(literals) => {
                self.scratch.stack.extend(literals.iter().map(|&index| Item::Literal(index)));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &'m PathStep, base: usize, focus: Item) -> Result<(), PathError> {
        match step {
            PathStep::Key(key) => {
                let keys = std::slice::from_ref(key);
                let end = self.len();
                for index in base..end {
                    if let Item::Element(element) = self.at(index)
                        && self.walk(self.node(element), keys)
                    {
                        break;
                    }
                }
                self.remove(base..end);
                Ok(())
            }
            PathStep::Member(member) => self.each(base, |m, item| {
                if let Item::Element(element) = item {
                    m.push_member(element, member);
                }
                Ok(())
            }),
            PathStep::Index(index) => {
                self.expect_known(base)?;
                let place = self.whole(index, focus)?.and_then(|place| usize::try_from(place).ok());
                let found =
                    place.filter(|place| *place < self.len() - base).map(|place| self.at(base + place));
                self.truncate(base);
                self.extend(found);
                Ok(())
            }
            PathStep::Call(call) => {
                self.expect_known_for(call, base)?;
                (call.run)(self, call, base, focus)
            }
        }
    }

    /// Fails if a function needs to know a key in its input that comes later.
    fn expect_known_for(&self, call: &Call, base: usize) -> Result<(), PathError> {
        if !self.has_pending {
            return Ok(());
        }
        let one = self.len() <= base + 1;
        let is_pending = |index: usize| matches!(self.at(index), Item::Pending(_));
        let passes_on = match call.name {
            // They test for a type; a key is text, whichever key it is.
            "ofType" | "as" | "combine" => true,
            "first" => one || !is_pending(base),
            "last" => one || !is_pending(self.len() - 1),
            "distinct" => one,
            _ => false,
        };
        if passes_on { Ok(()) } else { self.expect_known(base) }
    }

    /// Fails if the key of an item from `base` on comes later: it may turn out to be no item at all.
    pub(crate) fn expect_known(&self, base: usize) -> Result<(), PathError> {
        let items = self.scratch.stack.get(base..).unwrap_or_default();
        if self.has_pending && items.iter().any(|item| matches!(item, Item::Pending(_))) {
            return Err(PathError::KEY_COMES_LATER);
        }
        Ok(())
    }

    /// Pushes what the names lead to, depth first. Whether a `first` among them has been found.
    fn walk(&mut self, node: Node<'m>, keys: &'m [Key]) -> bool {
        let Some((key, rest)) = keys.split_first() else { return false };
        let Some(child) = node.get(&key.name) else { return false };
        match child.kind() {
            JsonKind::Array => child.items().any(|item| self.arrive(item, key, rest)),
            _ => self.arrive(child, key, rest),
        }
    }

    fn arrive(&mut self, node: Node<'m>, key: &Key, rest: &'m [Key]) -> bool {
        if matches!(node.kind(), JsonKind::Null | JsonKind::Array) {
            return false;
        }
        if rest.is_empty() {
            self.push(Item::Element(ElementRef { node: node.index(), companion: NO_NODE, set: key.to }));
            return key.first;
        }
        self.walk(node, rest) || key.first
    }

    /// Replaces every item from `base` on by what `change` pushes for it.
    pub(super) fn each(
        &mut self,
        base: usize,
        mut change: impl FnMut(&mut Self, Item) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        let end = self.len();
        if end == base + 1 {
            let item = self.at(base);
            self.truncate(base);
            return change(self, item);
        }
        for index in base..end {
            change(self, self.at(index))?;
        }
        self.remove(base..end);
        Ok(())
    }

    /// Returns whether a condition holds for an item; `None` where it says nothing. As FHIRPath has it, one item that is
    /// no boolean counts as true.
    pub(super) fn condition(&mut self, op: &'m Op, item: Item) -> Result<Option<bool>, PathError> {
        let base = self.len();
        self.run(op, item)?;
        let answer = self.truth(base)?;
        self.truncate(base);
        Ok(answer)
    }

    pub(super) fn truth(&self, base: usize) -> Result<Option<bool>, PathError> {
        Ok(match self.single_value(base)? {
            None => None,
            Some(ItemValue::Boolean(value)) => Some(value),
            Some(_) => Some(true),
        })
    }

    /// Returns what a filter has left on the stack from `base` on: one boolean or nothing, and never anything else.
    pub(crate) fn filter_result(&mut self, base: usize) -> Result<Option<bool>, PathError> {
        let answer = match self.single_value(base)? {
            None => None,
            Some(ItemValue::Boolean(value)) => Some(value),
            Some(_) => return Err(self.fault_at(base)),
        };
        self.truncate(base);
        Ok(answer)
    }

    /// Returns the one item from `base` on, if any; several are a fault.
    pub(super) fn single(&self, base: usize) -> Result<Option<Item>, PathError> {
        match self.scratch.stack.get(base..) {
            None | Some([]) => Ok(None),
            Some([item]) => Ok(Some(*item)),
            Some(_) => {
                self.expect_known(base)?;
                Err(self.fault_at(base + 1))
            }
        }
    }

    pub(super) fn single_value(&self, base: usize) -> Result<Option<ItemValue<'m>>, PathError> {
        self.single(base)?.map(|item| self.value(item)).transpose()
    }

    /// Returns an error for an operand on the stack.
    pub(super) fn fault_at(&self, index: usize) -> PathError {
        PathError { offset: self.offset(self.at(index)), ..PathError::OPERAND }
    }

    /// Returns the whole number that an argument yields.
    pub(super) fn whole(&mut self, op: &'m Op, focus: Item) -> Result<Option<i128>, PathError> {
        let base = self.len();
        self.run(op, focus)?;
        let number = match self.single_value(base)? {
            None => None,
            Some(ItemValue::Number(number)) => number.as_integer(),
            Some(_) => return Err(self.fault_at(base)),
        };
        self.truncate(base);
        Ok(number)
    }

    /// Returns the text that an argument yields.
    pub(super) fn text(&mut self, op: &'m Op, focus: Item) -> Result<Option<Cow<'m, str>>, PathError> {
        let base = self.len();
        self.run(op, focus)?;
        let text = self.text_at(base)?;
        self.truncate(base);
        Ok(text)
    }

    /// Returns the text of the one item from `base` on.
    pub(super) fn text_at(&self, base: usize) -> Result<Option<Cow<'m, str>>, PathError> {
        self.single(base)?.map(|item| self.text_of(item)).transpose()
    }

    /// Replaces what stands from `base` on by an answer.
    #[expect(clippy::unnecessary_wraps, reason = "it is the last word of functions that can fail")]
    pub(super) fn answer(&mut self, base: usize, answer: Option<bool>) -> Result<(), PathError> {
        self.truncate(base);
        self.extend(answer.map(Item::Boolean));
        Ok(())
    }

    pub(super) fn push(&mut self, item: Item) {
        if !matches!(item, Item::Nothing) {
            self.scratch.stack.push(item);
        }
    }

    pub(super) fn extend(&mut self, item: Option<Item>) {
        self.scratch.stack.extend(item);
    }

    pub(super) fn push_text(&mut self, text: &str) {
        let span = self.keep(text);
        self.push(Item::Text(span));
    }

    /// Replaces what stands from `base` on by a text and another one behind it. A text that was made last only grows.
    pub(super) fn append_text(&mut self, base: usize, left: &str, right: &str) {
        let kept = match (self.len() > base).then(|| self.at(base)) {
            Some(Item::Text(span)) if span.end == narrow(self.scratch.text.len()) => Some(span),
            _ => None,
        };
        self.truncate(base);
        let start = match kept {
            Some(span) => span.start,
            None => self.keep(left).start,
        };
        let end = self.keep(right).end;
        self.push(Item::Text(ScratchSpan { start, end }));
    }

    pub(super) fn push_temporal(&mut self, text: &str, kind: TemporalKind) {
        let span = self.keep(text);
        self.push(Item::Temporal(span, kind));
    }

    /// Pushes a key that comes later: the URN, and behind a `#` the only type that is wanted.
    pub(super) fn push_pending(&mut self, urn: &str, wanted: Option<&str>) {
        let mut span = self.keep(urn);
        if let Some(wanted) = wanted {
            self.keep("#");
            span.end = self.keep(wanted).end;
        }
        self.has_pending = true;
        self.push(Item::Pending(span));
    }

    pub(super) fn push_number(&mut self, number: Option<Decimal>) {
        if let Some(number) = number {
            let place = narrow(self.scratch.numbers.len());
            self.scratch.numbers.push(number);
            self.push(Item::Number(place));
        }
    }

    pub(super) fn number(&self, place: u32) -> Decimal {
        self.scratch.numbers.get(place as usize).copied().unwrap_or(Decimal::ZERO)
    }

    fn keep(&mut self, text: &str) -> ScratchSpan {
        let start = narrow(self.scratch.text.len());
        self.scratch.text.push_str(text);
        ScratchSpan { start, end: narrow(self.scratch.text.len()) }
    }

    pub(crate) fn scratch_text(&self, span: ScratchSpan) -> &str {
        self.scratch.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.scratch.stack.len()
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.scratch.stack.truncate(length);
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.scratch.stack.drain(range);
        }
    }

    /// Returns the item at an index of the stack, which the caller knows to be there.
    pub(crate) fn at(&self, index: usize) -> Item {
        self.scratch.stack.get(index).copied().unwrap_or(Item::Boolean(false))
    }

    pub(super) const fn root(&self) -> Node<'m> {
        self.root
    }

    pub(crate) const fn context(&self) -> Context<'m> {
        self.context
    }

    pub(super) fn pattern(&self, index: usize) -> Option<&'m Regex> {
        self.pool.pattern(index)
    }

    pub(crate) fn node(&self, element: ElementRef) -> Node<'m> {
        self.document.node(element.node)
    }

    pub(super) fn companion(&self, element: ElementRef) -> Option<Node<'m>> {
        (element.companion != NO_NODE).then(|| self.document.node(element.companion))
    }
}

/// Returns a position in the scratch memory of one resource, whose length fits into 32 bits.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
