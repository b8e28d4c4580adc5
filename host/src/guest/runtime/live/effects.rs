//! What an instruction changes of the state of its instance: the list of all that a live guest may
//! have.
//!
//! The state of an instance is its memories, globals and tables, and which segments were dropped
//! (WebAssembly core specification, section 4.2). An instruction is here because it changes none of
//! it, or because the host can undo what it changes. What is not here makes a guest ineligible, so
//! that an instruction of a future proposal does not get by.

use wasm_encoder::ValType;
use wasmparser::{MemArg, Operator};

use super::ineligible::Ineligible;

/// What an instruction changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Effect {
    /// Nothing, or globals: all of those are put back.
    None,
    /// Up to 16 bytes of memory, with a value of this type from the stack.
    Store(ValType, MemArg),
    /// A range of memory: start and length are on the stack, with something between them.
    Range,
    /// Nothing: it asks for the size of the memory.
    Size,
    /// The size of the memory.
    Grow,
}

/// What this instruction changes.
pub(super) fn effect(operator: &Operator<'_>) -> Result<Effect, Ineligible> {
    use Operator as O;
    Ok(match *operator {
        O::I32Store { memarg } | O::I32Store8 { memarg } | O::I32Store16 { memarg } => {
            Effect::Store(ValType::I32, memarg)
        }
        O::I64Store { memarg }
        | O::I64Store8 { memarg }
        | O::I64Store16 { memarg }
        | O::I64Store32 { memarg } => Effect::Store(ValType::I64, memarg),
        O::F32Store { memarg } => Effect::Store(ValType::F32, memarg),
        O::F64Store { memarg } => Effect::Store(ValType::F64, memarg),
        O::V128Store { memarg }
        | O::V128Store8Lane { memarg, .. }
        | O::V128Store16Lane { memarg, .. }
        | O::V128Store32Lane { memarg, .. }
        | O::V128Store64Lane { memarg, .. } => Effect::Store(ValType::V128, memarg),
        // A guest has one memory. Nothing is put back of another one.
        O::MemorySize { mem: 1.. }
        | O::MemoryGrow { mem: 1.. }
        | O::MemoryFill { mem: 1.. }
        | O::MemoryCopy { dst_mem: 1.., .. }
        | O::MemoryCopy { src_mem: 1.., .. } => {
            return Err(Ineligible::Instruction(name(operator)));
        }
        O::MemoryFill { mem: 0 } | O::MemoryCopy { dst_mem: 0, src_mem: 0 } => Effect::Range,
        O::MemorySize { mem: 0 } => Effect::Size,
        O::MemoryGrow { mem: 0 } => Effect::Grow,
        // Those of these proposals that only read.
        O::TypedSelect { .. }
        | O::RefNull { .. }
        | O::RefIsNull
        | O::RefFunc { .. }
        | O::TableGet { .. }
        | O::TableSize { .. }
        | O::ReturnCall { .. }
        | O::ReturnCallIndirect { .. } => Effect::None,
        _ => match proposal(operator) {
            // The rest of these have no effect but on the stack, locals and globals.
            "mvp" | "sign_extension" | "saturating_float_to_int" | "simd" | "relaxed_simd" => {
                Effect::None
            }
            _ => return Err(Ineligible::Instruction(name(operator))),
        },
    })
}

macro_rules! operators {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The proposal that an instruction came with.
        fn proposal(operator: &Operator<'_>) -> &'static str {
            match operator {
                $( Operator::$op $({ $($arg: _),* })? => stringify!($proposal), )*
                _ => "unknown",
            }
        }

        /// The name of the method that visits an instruction.
        fn visitor(operator: &Operator<'_>) -> &'static str {
            match operator {
                $( Operator::$op $({ $($arg: _),* })? => stringify!($visit), )*
                _ => "unknown",
            }
        }

        /// The proposal of each instruction that is known.
        #[cfg(test)]
        const PROPOSALS: &[&str] = &[ $( stringify!($proposal), )* ];
    }
}
wasmparser::for_each_operator!(operators);

/// The name of an instruction, near to that in the text format: `table.set`.
fn name(operator: &Operator<'_>) -> String {
    let visitor = visitor(operator);
    visitor.strip_prefix("visit_").unwrap_or(visitor).replacen('_', ".", 1)
}

#[cfg(test)]
mod tests {
    use wasmparser::Operator;

    use super::{PROPOSALS, effect};

    #[test]
    fn another_memory_is_refused() {
        for operator in [
            Operator::MemorySize { mem: 1 },
            Operator::MemoryGrow { mem: 1 },
            Operator::MemoryFill { mem: 1 },
            Operator::MemoryCopy { dst_mem: 0, src_mem: 1 },
            Operator::MemoryCopy { dst_mem: 1, src_mem: 0 },
        ] {
            assert!(effect(&operator).is_err(), "{operator:?}");
        }
    }

    /// Another number means that wasmparser knows other instructions of a proposal that is allowed as
    /// a whole: look whether they change anything, then correct the number.
    #[test]
    fn proposals_that_are_allowed_have_the_instructions_that_were_looked_at() {
        let count = |name: &str| PROPOSALS.iter().filter(|proposal| **proposal == name).count();
        let counted = ["mvp", "sign_extension", "saturating_float_to_int", "simd", "relaxed_simd"];
        assert_eq!(counted.map(count), [172, 5, 8, 236, 20]);
    }
}
