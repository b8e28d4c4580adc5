//! Live guests beside fresh instances.

mod built_in;
mod hostile;
mod instances;
mod merged;
mod mutations;

use std::sync::Arc;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::guest::LiveGuest;
use super::ineligible::Ineligible;
use super::instances::Decider;
use super::source::Source;
use crate::guest::decision::request::Request;
use crate::guest::runtime::program::Program;
use crate::guest::{DecisionLimits, Engine, GuestLimits};
use crate::helper::CancelToken;
use crate::http::Field;

/// A guest whose `decide` runs this body before it returns `not-found`; with `$line`, `$length`,
/// `$list` and `$count`, and locals for its own use.
fn guest(items: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {ALLOCATOR}
            (global $state (mut i64) (i64.const 7))
            (global $single (mut f32) (f32.const 1))
            (func (export "innkeeper:policy/policy@0.1.0#interests") (result i32) (i32.const 16))
            (func (export "innkeeper:policy/policy@0.1.0#decide")
                (param $line i32) (param $length i32) (param $list i32) (param $count i32)
                (result i32)
                (local $i i32) (local $j i64) (local $v v128)
                {body}
                (i32.const 512))
            (data (i32.const 512) "\03")
            (data (i32.const 600) "some data that may be copied")
            {items})"#
    );
    let mut module = wat::parse_str(text).expect("a module");
    with_type(&mut module);
    module
}

/// The memory of a guest and how it hands it out, for the text of a module.
const ALLOCATOR: &str = r#"
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $start i32)
        (local.set $start (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $start) (local.get 3)))
        (local.get $start))"#;

/// Adds the section that tells the type of a guest's core module.
fn with_type(module: &mut Vec<u8>) {
    with_world(module, include_str!("../../../../../../wit/policy.wit"), "guest");
}

/// Adds the section that tells a core module's component type: a world of this package.
fn with_world(module: &mut Vec<u8>, package: &str, world: &str) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("package.wit", package).expect("a package");
    let world = resolve.select_world(&[package], Some(world)).expect("the world");
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).expect("a section");
}

fn engine() -> Arc<Engine> {
    let decision = DecisionLimits { memory_bytes: 4 << 20, ..DecisionLimits::default() };
    let limits = GuestLimits { decision, ..GuestLimits::default() };
    Arc::new(Engine::new(limits, 1).expect("an engine"))
}

/// A guest in both forms.
struct Both {
    engine: Arc<Engine>,
    fresh: Program,
    live: LiveGuest,
}

impl Both {
    fn of(engine: &Arc<Engine>, guest: &[u8], data: Option<&[u8]>) -> Both {
        Both::with(engine, guest, data, true)
    }

    /// With memory to spare, or without.
    fn with(engine: &Arc<Engine>, guest: &[u8], data: Option<&[u8]>, has_spare: bool) -> Both {
        let digest = crate::guest::digest::Identity::of(guest, data).digest();
        let (urgency, cancel) =
            (crate::guest::runtime::compile::Urgency::First, CancelToken::default());
        let code = engine.compile(guest, data, digest, urgency, &cancel).expect("it compiles");
        let source = Source { guest, data, digest };
        let live = LiveGuest::compile(engine, &source, has_spare, &|| true).expect("it compiles");
        Both {
            engine: Arc::clone(engine),
            fresh: Program::link(engine, guest, &code.component).expect("it fits the contract"),
            live: live.0.expect("it is eligible"),
        }
    }

    /// Compares decisions, which must be the same; whether it was decided live.
    #[track_caller]
    fn compare(&self, request: &Request, what: &str) -> bool {
        match self.try_compare(request) {
            Ok(was_live) => was_live,
            Err(difference) => panic!("{what}: {difference}"),
        }
    }

    /// Decides in both ways, some times on one live instance; whether it was decided live, or what
    /// differs.
    fn try_compare(&self, request: &Request) -> Result<bool, String> {
        let limits = self.engine.limits().decision;
        let fresh = self.fresh.run(request, limits);
        let mut was_live = false;
        for round in 0..3 {
            let Some(decision) =
                self.live.decide(&self.engine, Decider::Worker(0), request, limits)
            else {
                // What fails fresh, or takes too much, is not decided live.
                continue;
            };
            was_live = true;
            if matches!(&fresh, Err(failure) if failure.is_beyond_memory()) {
                // It has spare pages, and stored across the border to them, or read there.
                if decision.is_ok() && self.live.form.has_size {
                    continue;
                }
            }
            if decision != fresh {
                return Err(format!("round {round}: {decision:?}, and {fresh:?} fresh"));
            }
            if !self.kept_instance_is_as_made() {
                return Err(format!("round {round}: it is not as it was made"));
            }
        }
        Ok(was_live)
    }

    fn kept_instance_is_as_made(&self) -> bool {
        let instances = self.live.instances.of(Decider::Worker(0));
        // One whose memory grew is not kept.
        let Some(mut instance) = instances.take(self.live.number) else { return true };
        let is_as_made = instance.is_as_made();
        instances.put(self.live.number, instance);
        is_as_made
    }
}

/// Why a guest has no live form.
fn ineligible(engine: &Engine, guest: &[u8]) -> Ineligible {
    let digest = crate::guest::digest::Identity::of(guest, None).digest();
    let live = LiveGuest::compile(engine, &Source { guest, data: None, digest }, true, &|| true);
    live.expect("it compiles").0.err().expect("it is not eligible")
}

fn request(line: &str, fields: &[(&'static str, &'static str)]) -> Request {
    Request {
        line: line.as_bytes().to_vec(),
        fields: fields.iter().map(|(name, value)| Field::fixed(name, value)).collect(),
    }
}
