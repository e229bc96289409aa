//! A compiled template made safe to run: the engine charges fuel for instructions and for the bytes it makes, but not
//! for values inside values, nor for lists that are only promised. Instructions that make or read such values become
//! calls of the operations in `operations.rs`, which charge all of it first.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::{CompiledTemplate, Instruction, Instructions};

use super::operations::{self, FILTER, METHOD, TEST};

/// Names in a source longer than this are refused: looking one up costs its length, which no fuel pays for.
const MAX_NAME_BYTES: usize = 256;

/// No filter is remembered between two calls.
const NOT_CACHED: u8 = u8::MAX;

/// The names that a source gives to filters, tests and methods, prefixed by what they are.
pub(super) type Names = BTreeSet<String>;

/// The names of a template's operations, to be registered as [`super::named::register`]; an error names what is too long.
pub(super) fn names(template: &CompiledTemplate<'_>) -> Result<Names, String> {
    let mut names = Names::new();
    for instructions in parts(template) {
        for instruction in all(instructions) {
            if let Some(name) = name_of(instruction).filter(|name| name.len() > MAX_NAME_BYTES) {
                return Err(format!("a name has {} bytes, more than {MAX_NAME_BYTES}", name.len()));
            }
            names.extend(operation_of(instruction));
        }
    }
    Ok(names)
}

/// The template's instructions with every unbounded one replaced; `names` are its own (see [`names`]).
pub(super) fn bounded<'source>(
    template: &CompiledTemplate<'source>,
    names: &'source Names,
) -> (Instructions<'source>, BTreeMap<&'source str, Instructions<'source>>) {
    let blocks = template.blocks.iter().map(|(name, block)| (*name, rewrite(block, names)));
    (rewrite(&template.instructions, names), blocks.collect())
}

fn parts<'a, 'source>(
    template: &'a CompiledTemplate<'source>,
) -> impl Iterator<Item = &'a Instructions<'source>> {
    std::iter::once(&template.instructions).chain(template.blocks.values())
}

fn all<'a, 'source>(
    instructions: &'a Instructions<'source>,
) -> impl Iterator<Item = &'a Instruction<'source>> {
    (0u32..).map_while(|index| instructions.get(index))
}

fn name_of<'source>(instruction: &Instruction<'source>) -> Option<&'source str> {
    match instruction {
        Instruction::StoreLocal(name)
        | Instruction::Lookup(name)
        | Instruction::GetAttr(name)
        | Instruction::SetAttr(name)
        | Instruction::ApplyFilter(name, ..)
        | Instruction::PerformTest(name, ..)
        | Instruction::CallFunction(name, _)
        | Instruction::CallMethod(name, _)
        | Instruction::CallBlock(name)
        | Instruction::BuildMacro(name, ..)
        | Instruction::Enclose(name) => Some(name),
        _ => None,
    }
}

fn operation_of(instruction: &Instruction<'_>) -> Option<String> {
    let prefixed = |kind: &str, name: &str| {
        let name: String = name.chars().filter(|char| !char.is_ascii_whitespace()).collect();
        format!("{kind}{name}")
    };
    match instruction {
        Instruction::ApplyFilter(name, ..) => Some(prefixed(FILTER, name)),
        Instruction::PerformTest(name, ..) => Some(prefixed(TEST, name)),
        Instruction::CallMethod(name, _) => Some(prefixed(METHOD, name)),
        _ => None,
    }
}

fn rewrite<'source>(old: &Instructions<'source>, names: &'source Names) -> Instructions<'source> {
    let targets: BTreeSet<u32> =
        all(old).filter_map(|instruction| jump(&mut instruction.clone()).copied()).collect();
    let mut new = Instructions::new(old.name(), old.source());
    let (mut moved, mut next) = (Vec::new(), 0);
    let mut after_constant = false;
    for (index, instruction) in (0u32..).zip(all(old)) {
        moved.push(next);
        let known = after_constant && !targets.contains(&index);
        after_constant = matches!(instruction, Instruction::LoadConst(value) if value.as_str().is_some());
        for instruction in expand(instruction, names, known) {
            next = 1 + match (old.get_span(index), old.get_line(index)) {
                (Some(span), _) => new.add_with_span(instruction, span),
                (None, Some(line)) => new.add_with_line(instruction, line as u16),
                (None, None) => new.add(instruction),
            };
        }
    }
    moved.push(next);
    for index in 0..next {
        if let Some(target) = new.get_mut(index).and_then(jump) {
            *target = moved[*target as usize];
        }
    }
    new
}

/// Where an instruction jumps to.
fn jump<'a>(instruction: &'a mut Instruction<'_>) -> Option<&'a mut u32> {
    match instruction {
        Instruction::Iterate(target)
        | Instruction::Jump(target)
        | Instruction::JumpIfFalse(target)
        | Instruction::JumpIfFalseOrPop(target)
        | Instruction::JumpIfTrueOrPop(target)
        | Instruction::BuildMacro(_, target, _) => Some(target),
        _ => None,
    }
}

/// What stands for one instruction. `known`: the value on top of the stack is a string of the source.
fn expand<'source>(
    instruction: &Instruction<'source>,
    names: &'source Names,
    known: bool,
) -> Vec<Instruction<'source>> {
    let call = |name: &'source str, count: Option<u16>| Instruction::ApplyFilter(name, count, NOT_CACHED);
    let one = |name: &'static str| call(name, Some(1));
    let two = |name: &'static str| vec![call(name, Some(2))];
    let named = |instruction: &Instruction<'source>, count: Option<u16>| {
        let name = operation_of(instruction).and_then(|name| names.get(&name));
        vec![call(name.map_or(operations::UNKNOWN, String::as_str), count)]
    };
    let own = || instruction.clone();
    match instruction {
        Instruction::Eq => two(operations::EQ),
        Instruction::Ne => two(operations::NE),
        Instruction::Lt => two(operations::LT),
        Instruction::Lte => two(operations::LTE),
        Instruction::Gt => two(operations::GT),
        Instruction::Gte => two(operations::GTE),
        Instruction::In => two(operations::IN),
        Instruction::Slice => vec![call(operations::SLICE, Some(4))],
        Instruction::BuildMap(pairs) => match u16::try_from(2 * pairs) {
            Ok(count) => vec![call(operations::MAP, Some(count))],
            Err(_) => vec![call(operations::UNKNOWN, Some(1))],
        },
        Instruction::MergeKwargs(count) => match u16::try_from(*count) {
            Ok(count) => vec![call(operations::KWARGS, Some(count))],
            Err(_) => vec![call(operations::UNKNOWN, Some(1))],
        },
        Instruction::BuildList(_) | Instruction::BuildTuple(_) => vec![own(), one(operations::DEPTH)],
        Instruction::Add | Instruction::Mul => vec![own(), one(operations::SETTLE)],
        Instruction::SetAttr(_) => {
            vec![Instruction::Swap, one(operations::STORABLE), Instruction::Swap, own()]
        }
        Instruction::GetItem if known => vec![own()],
        Instruction::GetItem => two(operations::ITEM),
        Instruction::StringConcat if known => {
            vec![Instruction::Swap, one(operations::COPY), Instruction::Swap, own()]
        }
        Instruction::StringConcat => {
            let copy = || one(operations::COPY);
            vec![copy(), Instruction::Swap, copy(), Instruction::Swap, own()]
        }
        Instruction::CompareAndPreserve(_) => {
            let touch = || one(operations::TOUCH);
            vec![touch(), Instruction::Swap, touch(), Instruction::Swap, own()]
        }
        Instruction::ApplyFilter(_, count, _)
        | Instruction::PerformTest(_, count, _)
        | Instruction::CallMethod(_, count) => named(instruction, *count),
        _ => vec![own()],
    }
}
