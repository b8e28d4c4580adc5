//! Which origins may read responses (the Fetch standard, "CORS protocol").

use super::ask::{Ask, Vary};
use super::engine::Draft;
use super::explain::{Effect, Trace};
use super::headers::{decimal, is_token, list};
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::table::{self, Place, Table};
use crate::Reply;
use crate::decision::Field;
use crate::origin::OriginPattern;
use crate::pattern::Pattern;

/// All rules about origins. Of those for a path, the first that has the origin counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
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

impl Sharing {
    pub(super) fn new(table: &Table) -> Result<Sharing, RuleError> {
        let mut sharing = Sharing::default();
        for rule in &table.cors {
            let fail = |problem| RuleError { place: rule.place, problem };
            let pattern = Pattern::parse(&rule.pattern).map_err(|error| fail(error.into()))?;
            sharing.rules.push(compile(rule).map_err(fail)?);
            sharing.patterns.push(None, &pattern);
        }
        Ok(sharing)
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
                if !asked.is_empty() {
                    reply = reply.with("access-control-allow-headers", list(&asked));
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

impl Rule {
    /// Whether the origin may read responses. The opaque origin `null`, which every page can
    /// take, is never one.
    fn has(&self, origin: &str) -> bool {
        let is_field = |byte: u8| matches!(byte, b'!'..=b'~');
        origin != "null"
            && origin.bytes().all(is_field)
            && self.origins.iter().any(|pattern| !pattern.is_all() && pattern.matches(origin))
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
