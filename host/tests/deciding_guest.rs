//! A guest that makes given decisions, each for the paths that begin with one letter.
//!
//! It is written without a toolchain: the decisions lie in its memory as the canonical ABI lays
//! them out, and `decide` looks for the letter.

use innkeeper_guest::{Candidate, Decision, Field, Page, Redirect, Serve};

use crate::wat_guest::{REALLOC, with_component_type};

/// Where the address of the decision for each letter is, and where the decisions are.
const ADDRESSES: u32 = 2048;
const IMAGE: u32 = 8192;

/// A core module that makes these decisions. Of other paths it says that there is nothing.
pub fn deciding(decisions: &[(u8, Decision)]) -> Vec<u8> {
    let mut image = Image(Vec::new());
    let mut addresses = vec![image.decision(&Decision::NotFound); 256];
    for (letter, decision) in decisions {
        addresses[usize::from(*letter)] = image.decision(decision);
    }
    assert!(image.0.len() < 48 << 10, "a request is placed behind the decisions");
    let data = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let addresses: Vec<u8> = addresses.into_iter().flat_map(u32::to_le_bytes).collect();
    let module = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {REALLOC})
            (func (export "innkeeper:policy/policy@0.1.0#interests") (result i32)
                (i32.const 16))
            (func (export "innkeeper:policy/policy@0.1.0#decide")
                (param $line i32) (param $length i32) (param i32 i32) (result i32)
                ;; to the space before the path
                (loop $next
                    (if (i32.and
                            (i32.ne (local.get $length) (i32.const 0))
                            (i32.ne (i32.load8_u (local.get $line)) (i32.const 32)))
                        (then
                            (local.set $line (i32.add (local.get $line) (i32.const 1)))
                            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                            (br $next))))
                (i32.load offset={ADDRESSES}
                    (i32.shl (i32.load8_u offset=2 (local.get $line)) (i32.const 2))))
            (data (i32.const {ADDRESSES}) "{}")
            (data (i32.const {IMAGE}) "{}"))"#,
        data(&addresses),
        data(&image.0)
    );
    with_component_type(&wat::parse_str(module).unwrap())
}

/// Memory with decisions in it.
struct Image(Vec<u8>);

impl Image {
    /// Places bytes at a multiple of their alignment.
    fn place(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let address = IMAGE + u32::try_from(self.0.len()).unwrap();
        self.0.extend(bytes);
        address
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().copied().flat_map(u32::to_le_bytes).collect();
        self.place(&bytes)
    }

    /// A string or a list of bytes.
    fn text(&mut self, text: impl AsRef<[u8]>) -> [u32; 2] {
        let text = text.as_ref();
        [self.place(text), u32::try_from(text.len()).unwrap()]
    }

    fn fields(&mut self, fields: &[Field]) -> [u32; 2] {
        let mut words = Vec::new();
        for Field { name, value } in fields {
            words.extend([self.text(name), self.text(value)].concat());
        }
        [self.words(&words), u32::try_from(fields.len()).unwrap()]
    }

    fn redirect(&mut self, redirect: &Redirect) -> Vec<u32> {
        let Redirect { status, location, fields } = redirect;
        [&[u32::from(*status)][..], &self.text(location), &self.fields(fields)].concat()
    }

    fn candidate(&mut self, candidate: &Candidate) -> Vec<u32> {
        let Candidate { page, status, location, fields } = candidate;
        let kind = u32::from(matches!(page, Page::File(_)));
        let location = match location {
            Some(location) => [&[1][..], &self.text(location)].concat(),
            None => vec![0; 3],
        };
        let (path, fields) = (self.text(page.path()), self.fields(fields));
        [&[kind][..], &path, &[u32::from(*status)], &location, &fields].concat()
    }

    fn serve(&mut self, serve: &Serve) -> Vec<u32> {
        let Serve { candidates, otherwise, fields } = serve;
        let mut words = Vec::new();
        for candidate in candidates {
            words.extend(self.candidate(candidate));
        }
        let candidates = [self.words(&words), u32::try_from(candidates.len()).unwrap()];
        let otherwise = match otherwise {
            Some(redirect) => [vec![1], self.redirect(redirect)].concat(),
            None => vec![0; 6],
        };
        [&candidates[..], &otherwise, &self.fields(fields)].concat()
    }

    fn decision(&mut self, decision: &Decision) -> u32 {
        let (kind, words) = match decision {
            Decision::Index(path) => (0, self.text(path).to_vec()),
            Decision::File(path) => (1, self.text(path).to_vec()),
            Decision::Serve(serve) => (2, self.serve(serve)),
            Decision::NotFound => (3, Vec::new()),
            Decision::Redirect(redirect) => (4, self.redirect(redirect)),
            Decision::Reply(reply) => {
                let (fields, body) = (self.fields(&reply.fields), self.text(&reply.body));
                (5, [&[u32::from(reply.status)][..], &fields, &body].concat())
            }
        };
        let mut decision = [vec![kind], words].concat();
        // As large as the largest case.
        decision.resize(11, 0);
        self.words(&decision)
    }
}
