//! What would go wrong without each of the precautions: each is left out once, and what holds then no
//! longer holds.

use std::time::Duration;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{CodeSection, Function, Instruction, Module};
use wasmparser::{FunctionBody, Operator, Parser};

use super::{Both, engine, guest, request};
use crate::guest::decision::request::Request;
use crate::guest::digest::Digest;
use crate::guest::runtime::component::component;
use crate::guest::runtime::live::guest::LiveGuest;
use crate::guest::runtime::live::instances::Decider;
use crate::guest::runtime::live::layout::{GRANULE_SHIFT, SECOND};
use crate::guest::runtime::live::rewrite::{LiveForm, Rewritten, rewrite};

/// What is left out of a module.
#[derive(Clone, Copy, Debug)]
enum Hole {
    /// The mark with this number.
    Mark(usize),
    /// What is added to the address of the mark with this number.
    Offset(usize),
}

/// Leaves something out.
struct Mutator {
    hole: Hole,
    marks: usize,
    offsets: usize,
}

impl Reencode for Mutator {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let mut function: Function = self.new_function_with_parsed_locals(&body)?;
        let operators: Vec<_> =
            body.get_operators_reader()?.into_iter().collect::<Result<_, _>>()?;
        for (at, operator) in operators.iter().enumerate() {
            let is_mark = match operator {
                Operator::I32Store8 { memarg } if memarg.memory == SECOND => Some(2),
                Operator::MemoryFill { mem: SECOND } => Some(3),
                _ => None,
            };
            if let Some(operands) = is_mark {
                self.marks += 1;
                if matches!(self.hole, Hole::Mark(number) if number == self.marks) {
                    for _ in 0..operands {
                        function.instruction(&Instruction::Drop);
                    }
                    continue;
                }
            }
            // `i32.const OFFSET, i32.add, i32.const 10, i32.shr_u` is in none but a mark.
            let is_offset = matches!(
                operators[at..],
                [Operator::I32Const { .. }, Operator::I32Add, Operator::I32Const { value }, Operator::I32ShrU, ..]
                    if value == GRANULE_SHIFT
            );
            if is_offset {
                self.offsets += 1;
                if matches!(self.hole, Hole::Offset(number) if number == self.offsets) {
                    function.instruction(&Instruction::I32Const(0));
                    continue;
                }
            }
            function.instruction(&self.instruction(operator.clone())?);
        }
        code.function(&function);
        Ok(())
    }
}

/// The module with a hole; `None` if there is no such place.
fn with_hole(module: &[u8], hole: Hole) -> Option<Vec<u8>> {
    let mut mutator = Mutator { hole, marks: 0, offsets: 0 };
    let mut out = Module::new();
    utils::parse_core_module(&mut mutator, &mut out, Parser::new(0), module).expect("it is read");
    let exists = match hole {
        Hole::Mark(number) => number <= mutator.marks,
        Hole::Offset(number) => number <= mutator.offsets,
    };
    exists.then(|| out.finish())
}

/// Bodies that each write where no other does, and are run one at a time.
const BODIES: [&str; 14] = [
    "(i32.store (i32.const 4096) (i32.const 1))",
    "(i32.store8 offset=8192 (i32.const 1) (i32.const 1))",
    "(i32.store16 offset=12288 (i32.const 1) (i32.const 1))",
    "(i64.store offset=16384 (i32.const 1) (i64.const 1))",
    "(i64.store8 offset=20480 (i32.const 1) (i64.const 1))",
    "(i64.store32 offset=24576 (i32.const 1) (i64.const 1))",
    "(f32.store offset=28672 (i32.const 1) (f32.const 1))",
    "(f64.store offset=32768 (i32.const 1) (f64.const 1))",
    "(v128.store offset=36864 (i32.const 1) (v128.const i64x2 1 1))",
    "(v128.store8_lane offset=40960 3 (i32.const 1) (v128.const i64x2 -1 -1))",
    "(v128.store64_lane offset=45056 1 (i32.const 1) (v128.const i64x2 -1 -1))",
    // Across a border: the mark is before it.
    "(v128.store (i32.const 50169) (v128.const i64x2 -1 -1))",
    "(memory.fill (i32.const 53248) (i32.const 1) (i32.const 100))",
    "(memory.copy (i32.const 57344) (i32.const 600) (i32.const 2000))",
];

/// A guest that runs the body with the number that its line has bytes, and says what globals it finds.
fn mutated_guest() -> Vec<u8> {
    let bodies: String = BODIES
        .iter()
        .enumerate()
        .map(|(number, body)| {
            format!("(if (i32.eq (local.get $length) (i32.const {number})) (then {body}))")
        })
        .collect();
    // `not-found`, or what is all zeros: an index.
    let globals = "
        (local.set $i (i32.and
            (i64.eq (global.get $state) (i64.const 7))
            (f32.eq (global.get $single) (f32.const 1))))
        (global.set $state (i64.const 9)) (global.set $single (f32.const 2))
        (if (i32.eqz (local.get $i)) (then (return (i32.const 560))))";
    guest("", &format!("{bodies}{globals}"))
}

/// Requests that run all bodies, and have fields and lines of one granule and of several.
fn requests() -> Vec<Request> {
    let mut lengths: Vec<_> = (0..BODIES.len()).collect();
    lengths.extend([1_500, 5_000]);
    let requests = lengths.iter().map(|length| request(&"x".repeat(*length), &[]));
    // Their list has granules of its own.
    let with_fields = request("", &[("host", ""); 200]);
    requests.chain([with_fields]).collect()
}

/// What differs with this module and form, if something does.
fn difference(
    both: &mut Both,
    module: &[u8],
    form: &LiveForm,
    overhang: Option<usize>,
) -> Option<String> {
    let module = wasmtime::Module::new(both.engine.wasm(), module).expect("it is valid");
    let digest = Digest::of(b"mutated");
    both.live = LiveGuest::link(&both.engine, digest, &module, form.clone()).expect("it is linked");
    if let Some(overhang) = overhang {
        let mut instance =
            both.live.make(&both.engine, Duration::from_secs(1)).expect("an instance");
        instance.layout.overhang = overhang;
        both.live.instances.of(Decider::Worker(0)).put(both.live.number, instance);
    }
    requests().iter().find_map(|request| both.try_compare(request).err())
}

#[test]
fn each_precaution_that_is_left_out_is_missed() {
    let engine = engine();
    let module = mutated_guest();
    let component = component(&module).expect("it is a guest");
    let mut both = Both::of(&engine, &component, None);
    let Rewritten { module, form } =
        rewrite(&component, engine.limits().decision.memory_bytes, true).expect("it is eligible");
    let mut differs =
        |module: &[u8], form: &LiveForm, overhang| difference(&mut both, module, form, overhang);
    assert_eq!(differs(&module, &form, None), None);
    let (mut marks, mut offsets) = (0, 0);
    while let Some(mutated) = with_hole(&module, Hole::Mark(marks + 1)) {
        marks += 1;
        assert!(differs(&mutated, &form, None).is_some(), "mark {marks} is not missed");
    }
    while let Some(mutated) = with_hole(&module, Hole::Offset(offsets + 1)) {
        offsets += 1;
        assert!(differs(&mutated, &form, None).is_some(), "offset {offsets} is not missed");
    }
    // Those of stores, and of the functions that are added.
    assert!(marks >= 12 + 4 && offsets == 10, "{marks} marks, {offsets} offsets");
    assert!(differs(&module, &form, Some(8)).is_some(), "the overhang is not missed");
    for globals in 0..form.globals {
        let fewer = LiveForm { globals, ..form.clone() };
        assert!(differs(&module, &fewer, None).is_some(), "global {globals} is not missed");
    }
}
