//! Guests that change whatever there is.

use super::{Both, engine, guest, ineligible, request};
use crate::guest::runtime::live::ineligible::Ineligible;

/// Bodies that change whatever there is, and the number of those that are decided live.
fn hostile_bodies() -> Vec<String> {
    let mut bodies = Vec::new();
    let stores = [
        ("i32.store", "(i32.const -1)"),
        ("i32.store8", "(i32.const -1)"),
        ("i32.store16", "(i32.const -1)"),
        ("i64.store", "(i64.const -1)"),
        ("i64.store8", "(i64.const -1)"),
        ("i64.store16", "(i64.const -1)"),
        ("i64.store32", "(i64.const -1)"),
        ("f32.store", "(f32.const 1.5)"),
        ("f64.store", "(f64.const 1.5)"),
        ("v128.store", "(v128.const i64x2 -1 -1)"),
    ];
    let borders = [1_024, 2_048, 65_536, 131_072];
    for (store, value) in stores {
        for border in borders {
            for before in [0, 1, 2, 3, 4, 7, 8, 15, 16, 17] {
                let at = border - before;
                bodies.push(format!("({store} (i32.const {at}) {value})"));
                bodies.push(format!("({store} offset={at} (i32.const 0) {value})"));
            }
        }
        // What wraps around, and what does not.
        bodies.push(format!("({store} offset=4294967295 (i32.const 1) {value})"));
        bodies.push(format!("({store} offset=1 (i32.const -1) {value})"));
        bodies.push(format!("({store} (i32.const -8) {value})"));
    }
    for (lane, last) in [("8", 15), ("16", 7), ("32", 3), ("64", 1)] {
        for at in [1_016, 1_020, 1_023, 131_064, 131_071] {
            bodies.push(format!(
                "(v128.store{lane}_lane offset=1 {last} (i32.const {at}) (v128.const i64x2 -1 -1))"
            ));
        }
    }
    for (start, length) in [
        (0, 0),
        (1_023, 1),
        (1_023, 2),
        (1_000, 3_000),
        (0, 131_072),
        (1, 131_072),
        (131_072, 0),
        (131_073, 0),
        (131_071, 1),
        (70_000, 60_000),
    ] {
        bodies.push(format!(
            "(memory.fill (i32.const {start}) (i32.const 165) (i32.const {length}))
             (i32.store8 (i32.const 512) (i32.const 3))"
        ));
        bodies.push(format!(
            "(memory.copy (i32.const {start}) (i32.const 600) (i32.const {length}))
             (i32.store8 (i32.const 512) (i32.const 3))"
        ));
    }
    bodies.push("(memory.fill (i32.const 4000) (i32.const 1) (i32.const -1))".into());
    bodies.push("(memory.copy (i32.const -4) (i32.const 0) (i32.const 8))".into());
    for other in [
        "(global.set $state (i64.const 9)) (global.set $single (f32.const 2))",
        "(global.set $free (i32.const 0))",
        "(i32.store (i32.const 4000) (i32.const 1)) (unreachable)",
        "(global.set $state (i64.const 9)) (unreachable)",
        "(loop $l (i64.store (i32.const 3000) (local.get $j)) \
         (local.set $j (i64.add (local.get $j) (i64.const 1))) (br $l))",
        "(call $deeper (i32.const 1))",
        "(drop (memory.grow (i32.const 1))) (i32.store (i32.const 131072) (i32.const 5))",
        "(drop (memory.grow (i32.const 15))) (i32.store (i32.const 1114108) (i32.const 5))",
        "(drop (memory.grow (i32.const 40))) (i32.store (i32.const 2000000) (i32.const 5))",
        "(drop (memory.grow (i32.const 65535)))",
        "(drop (memory.grow (i32.const -1)))",
        // The size is what the guest asked for, and the sizes before are what they would be.
        "(if (i32.ne (memory.size) (i32.const 2)) (then (unreachable)))",
        "(if (i32.ne (memory.grow (i32.const 3)) (i32.const 2)) (then (unreachable)))
         (if (i32.ne (memory.grow (i32.const 2)) (i32.const 5)) (then (unreachable)))
         (if (i32.ne (memory.size) (i32.const 7)) (then (unreachable)))",
        // A decision that is none, or is not where it can be.
        "(i32.store8 (i32.const 512) (i32.const 6))",
        "(return (i32.const 131069))",
        "(return (i32.const 131070))",
        "(return (i32.const 514))",
        "(return (i32.const -4))",
        // What it was told before is not there.
        "(local.set $i (i32.const 66000))
         (loop $l
            (if (i32.load8_u (local.get $i)) (then (unreachable)))
            (i32.store8 (local.get $i) (i32.const 1))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 131072))))",
    ] {
        bodies.push(other.into());
    }
    bodies
}

/// What some bodies call.
const DEEPER: &str = "(func $deeper (param i32) \
    (i32.store (i32.const 5000) (local.get 0)) (call $deeper (i32.add (local.get 0) (i32.const 1))))";

#[test]
fn hostile_guests_are_put_back_and_decide_as_fresh_ones() {
    let engine = engine();
    let all = hostile_bodies();
    let growing = all.clone();
    let (_, fixed): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|body| body.contains("memory.grow"));
    // A guest that grows may have spare pages, and others have none.
    for (bodies, has_spare) in [(growing.clone(), true), (growing, false), (fixed, true)] {
        // One guest has them all: the length of the line says which it runs.
        let mut chosen = String::new();
        for (number, body) in bodies.iter().enumerate() {
            let number = number + 1;
            chosen +=
                &format!("(if (i32.eq (local.get $length) (i32.const {number})) (then {body}))\n");
        }
        let both = Both::with(&engine, &guest(DEEPER, &chosen), None, has_spare);
        let mut live = 0;
        for (number, body) in bodies.iter().enumerate() {
            let line = "x".repeat(number + 1);
            let request = request(&line, &[("host", "a.example"), ("cookie", "")]);
            live += usize::from(both.compare(&request, body));
        }
        // Else this test compares nothing. Those that trap are decided fresh.
        assert!(live > bodies.len() / 2, "{live} of {} are live", bodies.len());
    }
}

#[test]
fn what_cannot_be_undone_makes_a_guest_ineligible() {
    let engine = engine();
    let table = "(table 2 funcref) (func $f) (elem $e funcref (ref.func $f)) (data $d \"abc\")";
    for (body, instruction) in [
        ("(table.set (i32.const 0) (ref.null func))", "table.set"),
        ("(drop (table.grow (ref.null func) (i32.const 1)))", "table.grow"),
        ("(table.fill (i32.const 0) (ref.null func) (i32.const 1))", "table.fill"),
        ("(table.copy (i32.const 0) (i32.const 1) (i32.const 1))", "table.copy"),
        ("(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))", "table.init"),
        ("(elem.drop $e)", "elem.drop"),
        ("(data.drop $d)", "data.drop"),
        ("(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))", "memory.init"),
    ] {
        let guest = guest(table, body);
        assert_eq!(ineligible(&engine, &guest), Ineligible::Instruction(instruction.into()));
    }
}
