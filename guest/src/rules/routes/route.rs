//! One route: its conditions, and where it leads.

use crate::contract::{is_page, is_redirect};
use crate::pattern::{Capture, MAX_PLACEHOLDERS, Pattern, PatternError};
use crate::rules::ask::{Ask, Vary};
use crate::rules::host::Scope;
use crate::rules::problem::Problem;
use crate::rules::self_redirect::needs_host;
use crate::rules::table::{self, Place, QueryValue};
use crate::rules::target::{self, Location, Target};
use crate::rules::template::Source;
use crate::{cookie, negotiation, query};

/// One route, made ready.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) place: Place,
    pub(super) status: u16,
    pub(super) force: bool,
    pub(super) form: Form,
    pub(super) scope: Scope,
    /// Whether it reads the host only to learn whether it leads to the request's own URL.
    pub(super) needs_host: bool,
    pub(super) query: Box<[Parameter]>,
    pub(super) conditions: Box<[Condition]>,
    pub(super) target: Target,
}

/// Which of `/a` and `/a/` a route is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Both,
    File,
    Directory,
}

/// A parameter that the query must have.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    name: Box<str>,
    /// `None` if it is a placeholder's.
    value: Option<Box<str>>,
}

/// What else must hold.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Language(Box<[String]>),
    Country(Box<[String]>),
    Cookie(Box<[String]>),
}

impl Route {
    /// Makes a rule ready. Its pattern goes into the set of all of them.
    pub(super) fn new(route: &table::Route, form: Form) -> Result<(Pattern, Route), Problem> {
        let pattern = Pattern::parse(&route.from)?;
        let is_placeholder =
            |parameter: &&table::QueryMatch| matches!(parameter.value, QueryValue::Placeholder(_));
        let of_query = route.query.iter().filter(is_placeholder).count();
        if pattern.placeholders() + of_query > MAX_PLACEHOLDERS {
            return Err(PatternError::TooManyPlaceholders.into());
        }
        let scope = Scope::new(route.scheme.as_deref(), route.host.as_deref());
        let captured = |name: &str| {
            let of_query = || {
                let mut names = route.query.iter().filter_map(|parameter| match &parameter.value {
                    QueryValue::Placeholder(name) => Some(name),
                    QueryValue::Exactly(_) => None,
                });
                names.position(|known| known == name).and_then(|at| u16::try_from(at).ok())
            };
            let of_path: Option<Capture> = pattern.capture(name);
            of_path
                .map(Source::Path)
                .or_else(|| of_query().map(Source::Query))
                .or_else(|| scope.source(name))
        };
        let target = match route.status {
            200 if route.to == route.from => Target::Itself,
            status if is_redirect(status) => {
                Target::Location(Location::parse(&route.to, &captured)?)
            }
            status if is_page(status) => Target::Page(target::page(&route.to, &captured)?),
            _ => return Err(Problem::Status),
        };
        let parameter = |parameter: &table::QueryMatch| Parameter {
            name: parameter.name.as_str().into(),
            value: match &parameter.value {
                QueryValue::Exactly(value) => Some(value.as_str().into()),
                QueryValue::Placeholder(_) => None,
            },
        };
        let condition = |condition: &table::Condition| match condition {
            table::Condition::Language(languages) => {
                Condition::Language(languages.as_slice().into())
            }
            table::Condition::Country(countries) => Condition::Country(countries.as_slice().into()),
            table::Condition::Cookie(names) => Condition::Cookie(names.as_slice().into()),
        };
        let compiled = Route {
            place: route.place,
            status: route.status,
            force: route.force,
            form,
            needs_host: matches!(target, Target::Location(_))
                && needs_host(&route.from, &pattern, &route.to),
            query: route.query.iter().map(parameter).collect(),
            conditions: route.conditions.iter().map(condition).collect(),
            scope,
            target,
        };
        Ok((pattern, compiled))
    }

    /// Names of fields and facts that the route reads, but for a host that is one name.
    pub(super) fn interests(&self, country_field: Option<&str>, mut add: impl FnMut(&str)) {
        self.scope.interests(&mut add);
        if self.needs_host {
            add("host");
        }
        for condition in &self.conditions {
            match condition {
                Condition::Language(_) => add("accept-language"),
                Condition::Country(_) => country_field.into_iter().for_each(&mut add),
                Condition::Cookie(_) => add("cookie"),
            }
        }
    }

    /// The query that a redirect passes on: all of it, unless the route is about parameters.
    pub(super) fn passed_on<'r>(&self, ask: &Ask<'r>) -> Option<&'r str> {
        if self.query.is_empty() { ask.query } else { None }
    }

    /// The values of the query's parameters, if the route holds for the request.
    pub(super) fn holds<'t>(
        &'t self,
        ask: &Ask<'_>,
        country_field: Option<&'t str>,
        vary: &mut Vary<'t>,
    ) -> Option<Vec<String>> {
        let form = if ask.is_directory() { Form::Directory } else { Form::File };
        if self.form != Form::Both && self.form != form {
            return None;
        }
        if !self.scope.means(ask) {
            return None;
        }
        let mut values = Vec::new();
        for Parameter { name, value: expected } in &self.query {
            let value = query::find(ask.query.unwrap_or_default(), name)?;
            if expected.as_deref().is_some_and(|expected| *expected != *value) {
                return None;
            }
            if expected.is_none() {
                values.push(value.into_owned());
            }
        }
        let mut conditions = self.conditions.iter();
        conditions.all(|condition| condition.holds(ask, country_field, vary)).then_some(values)
    }
}

impl Condition {
    /// Whether it holds for the request.
    fn holds<'t>(
        &self,
        ask: &Ask<'_>,
        country_field: Option<&'t str>,
        vary: &mut Vary<'t>,
    ) -> bool {
        match self {
            Condition::Language(languages) => {
                vary.add("accept-language");
                let ranges = ask.request.list("accept-language");
                let preferred = negotiation::preferred_language(ranges);
                preferred.is_some_and(|preferred| {
                    languages.iter().any(|language| negotiation::is_within(preferred, language))
                })
            }
            Condition::Country(countries) => {
                let Some(field) = country_field else { return false };
                vary.add(field);
                ask.request.value(field).is_some_and(|country| {
                    countries.iter().any(|expected| expected.eq_ignore_ascii_case(country))
                })
            }
            Condition::Cookie(names) => {
                vary.add("cookie");
                names.iter().any(|name| cookie::find(ask.request, name).is_some())
            }
        }
    }
}
