//! Which origins may read responses (the Fetch standard, "CORS protocol").

use super::ask::{Ask, Vary};
use super::draft::Draft;
use super::explain::{Effect, Trace};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, Place, Table};
use super::text::{decimal, list};
use crate::Reply;
use crate::contract::is_token;
use crate::decision::Field;
use crate::origin::OriginPattern;
use crate::pattern::Pattern;

/// All rules about origins. Of those for a path, the first that has the origin counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors {
    patterns: PatternSet,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    origins: Box<[OriginPattern]>,
    is_for_all: bool,
    credentials: bool,
    methods: String,
    /// `None` for those that the client asks for.
    request_fields: Option<String>,
    exposed_fields: String,
    max_age: Option<String>,
}

impl Cors {
    pub(super) fn new(table: &Table) -> Result<Cors, RuleError> {
        let mut cors = Cors::default();
        for rule in &table.cors {
            cors.add(rule).map_err(|problem| problem.at(rule.place))?;
        }
        Ok(cors)
    }

    fn add(&mut self, rule: &table::Cors) -> Result<(), Problem> {
        let pattern = Pattern::parse(&rule.pattern)?;
        self.rules.push(compile(rule)?);
        self.patterns.push(None, &pattern)
    }

    /// Names of fields that the rules read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        for rule in &self.rules {
            add(METHOD);
            // What is the same for all origins is remembered once for all of them.
            if !rule.is_for_all {
                add("origin");
            }
            if rule.request_fields.is_none() {
                add(FIELDS);
            }
        }
    }

    /// Adds the fields that let the origin read the response. If the request is a preflight, it is
    /// responded to: it has no credentials, so that whatever asks for some comes later.
    pub(super) fn share<'t>(
        &self,
        ask: &Ask<'_>,
        every: &mut Vec<Field>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        let origin = ask.request.value("origin");
        let mut last = None;
        let mut chosen = None;
        for (at, _) in self.patterns.matches(None, &ask.path) {
            let Some(rule) = self.rules.get(at) else { break };
            last = Some(rule.place);
            if rule.is_for_all {
                chosen = Some((rule, "*"));
                break;
            }
            vary.add("origin");
            if let Some(origin) = origin.filter(|origin| rule.has(origin)) {
                chosen = Some((rule, origin));
                break;
            }
        }
        let is_preflight = ask.method == "OPTIONS" && ask.request.value(METHOD).is_some();
        let Some((rule, origin)) = chosen else {
            let place = last?;
            if origin.is_some() {
                trace.note(place, Effect::DoesNotShareWithOrigin);
            }
            return is_preflight.then(|| Draft::Reply(Reply::text(204, Vec::new())));
        };
        every.push(Field::new("access-control-allow-origin", origin));
        if rule.credentials {
            every.push(Field::new("access-control-allow-credentials", "true"));
        }
        if !is_preflight {
            trace.note(rule.place, Effect::SharesWithOrigin);
            if !rule.exposed_fields.is_empty() {
                let exposed = rule.exposed_fields.as_str();
                every.push(Field::new("access-control-expose-headers", exposed));
            }
            return None;
        }
        trace.note(rule.place, Effect::RespondsToPreflight);
        let mut reply = Reply::text(204, Vec::new())
            .with("access-control-allow-methods", rule.methods.as_str());
        match &rule.request_fields {
            Some(fields) if fields.is_empty() => {}
            Some(fields) => reply = reply.with("access-control-allow-headers", fields.as_str()),
            None => {
                vary.add(FIELDS);
                let asked: Vec<_> =
                    ask.request.list(FIELDS).filter(|name| is_token(name)).collect();
                let asked = list(&asked);
                if (1..=ASKED_BYTES).contains(&asked.len()) {
                    reply = reply.with("access-control-allow-headers", asked);
                }
            }
        }
        if let Some(seconds) = &rule.max_age {
            reply = reply.with("access-control-max-age", seconds.as_str());
        }
        Some(Draft::Reply(reply))
    }
}

/// Of a preflight alone: what the client wants to do.
const METHOD: &str = "access-control-request-method";
const FIELDS: &str = "access-control-request-headers";

/// Bytes of the names that a client may ask for: more than any script has, and few enough for a
/// response.
const ASKED_BYTES: usize = 4 << 10;

impl Rule {
    /// Whether the origin may read responses. The opaque origin `null`, which every page can
    /// take, is never one.
    fn has(&self, origin: &str) -> bool {
        let is_field = |byte: u8| matches!(byte, b'!'..=b'~');
        origin != "null"
            && origin.bytes().all(is_field)
            && self.origins.iter().any(|pattern| pattern.matches(origin))
    }
}

fn compile(rule: &table::Cors) -> Result<Rule, Problem> {
    let parse = |text: &String| OriginPattern::parse(text).map_err(|_| Problem::Origin);
    let origins = rule.origins.iter().map(parse).collect::<Result<Box<[_]>, _>>()?;
    let is_for_all = origins.iter().any(OriginPattern::is_all);
    if is_for_all && rule.credentials {
        return Err(Problem::CredentialsForAll);
    }
    if rule.methods.iter().any(|method| !is_token(method)) {
        return Err(Problem::Method);
    }
    let mut names = rule.request_fields.iter().chain(&rule.exposed_fields);
    if names.any(|name| !is_token(name)) {
        return Err(Problem::FieldName);
    }
    let mut methods: Vec<&str> = vec!["GET", "HEAD", "POST"];
    for method in &rule.methods {
        if !methods.contains(&method.as_str()) {
            methods.push(method);
        }
    }
    let allows_all_fields = rule.request_fields.iter().any(|name| name == "*");
    Ok(Rule {
        place: rule.place,
        origins,
        is_for_all,
        credentials: rule.credentials,
        methods: list(&methods),
        // `*` means nothing where there are credentials, and never `authorization`.
        request_fields: (!allows_all_fields).then(|| list(&rule.request_fields)),
        exposed_fields: list(&rule.exposed_fields),
        max_age: rule.max_age_s.map(|seconds| decimal(u64::from(seconds))),
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::table::{Cors, Table};
    use crate::rules::testing::{at, check, ready, request};
    use crate::rules::{Problem, Rules};

    fn cors(origins: &[&str]) -> Cors {
        Cors {
            place: at(1),
            pattern: "/api/*".to_owned(),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            methods: Vec::new(),
            request_fields: Vec::new(),
            exposed_fields: Vec::new(),
            credentials: false,
            max_age_s: None,
        }
    }

    fn rules(cors: Cors) -> Rules {
        ready(&Table { cors: vec![cors], ..Table::default() })
    }

    #[test]
    fn all_origins_may_read_without_a_look_at_them() {
        let rules = rules(Cors { exposed_fields: vec!["x-a".to_owned()], ..cors(&["*"]) });
        check(&rules, "/api/a", &[], {
            r#"serve file "api/a", always (access-control-allow-origin: *) (access-control-expose-headers: x-a)"#
        });
        check(&rules, "/a", &[], r#"file "a""#);
        assert_eq!(rules.interests(), ["access-control-request-method"]);
    }

    #[test]
    fn response_to_another_origin_varies_too() {
        let rules = rules(Cors { credentials: true, ..cors(&["https://app.example"]) });
        let vary = "always (vary: origin)";
        check(&rules, "/api/a", &[("origin", "https://app.example")], {
            r#"serve file "api/a", always (access-control-allow-origin: https://app.example) (access-control-allow-credentials: true) (vary: origin)"#
        });
        for origin in ["null", "https://app.example.evil.example", "http://app.example", "*"] {
            check(
                &rules,
                "/api/a",
                &[("origin", origin)],
                format!(r#"serve file "api/a", {vary}"#),
            );
        }
        check(&rules, "/api/a", &[], format!(r#"serve file "api/a", {vary}"#));
        // What is not found can be read as such.
        check(&rules, "/api/.a", &[("origin", "https://app.example")], {
            r#"serve nothing, always (access-control-allow-origin: https://app.example) (access-control-allow-credentials: true) (vary: origin)"#
        });
    }

    #[test]
    fn names_beyond_a_response_are_not_allowed() {
        let rules = rules(Cors { request_fields: vec!["*".to_owned()], ..cors(&["*"]) });
        for (bytes, is_allowed) in [(4_000, true), (12_000, false)] {
            let names = "a".repeat(bytes);
            let fields = [
                ("origin", "https://a.example"),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", names.as_str()),
            ];
            let decision = rules.decide(&request("OPTIONS /api/a", &fields));
            let crate::Decision::Reply(reply) = decision else { panic!("{decision:?}") };
            let mut fields = reply.fields.iter();
            let has = fields.any(|field| field.name == "access-control-allow-headers");
            assert_eq!((reply.status, has), (204, is_allowed), "{bytes}");
        }
    }

    #[test]
    fn preflight_is_responded_to() {
        let method = ("access-control-request-method", "PUT");
        let names = ("access-control-request-headers", "x-a, b c, x-b");
        let origin = ("origin", "https://a.example");
        let one = rules(Cors {
            methods: vec!["PUT".to_owned(), "GET".to_owned()],
            request_fields: vec!["x-a".to_owned()],
            max_age_s: Some(600),
            ..cors(&["https://*.example"])
        });
        check(&one, "OPTIONS /api/a", &[origin, method], {
            r#"reply 204 "" (access-control-allow-methods: GET, HEAD, POST, PUT) (access-control-allow-headers: x-a) (access-control-max-age: 600) (access-control-allow-origin: https://a.example) (vary: origin)"#
        });
        check(
            &one,
            "OPTIONS /api/a",
            &[("origin", "null"), method],
            r#"reply 204 "" (vary: origin)"#,
        );
        check(&one, "OPTIONS /a", &[origin, method], r#"file "a""#);
        check(&one, "OPTIONS /api/a", &[], r#"serve file "api/a", always (vary: origin)"#);
        let all = rules(Cors { request_fields: vec!["*".to_owned()], ..cors(&["*"]) });
        check(&all, "OPTIONS /api/a", &[method, names], {
            r#"reply 204 "" (access-control-allow-methods: GET, HEAD, POST) (access-control-allow-headers: x-a, x-b) (access-control-allow-origin: *) (vary: access-control-request-headers)"#
        });
    }

    #[test]
    fn rule_that_cannot_be_obeyed_is_refused() {
        for (cors, problem) in [
            (cors(&["https://a.example/"]), Problem::Origin),
            (cors(&["null"]), Problem::Origin),
            (Cors { credentials: true, ..cors(&["*"]) }, Problem::CredentialsForAll),
            (Cors { methods: vec!["a b".to_owned()], ..cors(&["*"]) }, Problem::Method),
        ] {
            let error = Rules::new(&Table { cors: vec![cors], ..Table::default() });
            assert_eq!(error.expect_err("no rule").problem, problem);
        }
    }
}
