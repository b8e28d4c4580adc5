//! The pages of the site that rules name: where one is not there, its rule leads nowhere.

use super::pages::of_target;
use super::table::{Place, Route, Table};
use super::target;
use crate::Candidate;
use crate::contract::is_page;
use crate::decision::Page;

/// A page that a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPage {
    /// Where the rule stands.
    pub place: Place,
    /// Its path below the root, as messages name it.
    pub path: String,
    /// What may be there: the first that is there is served.
    pub candidates: Vec<Page>,
}

/// The pages that rules name by themselves, without a part of the request's URL, in the order of
/// the table.
pub fn named_pages(table: &Table) -> Vec<NamedPage> {
    let file = |place, path: &str| {
        let path = target::file(path)?;
        Some(NamedPage { place, candidates: vec![Page::File(path.clone())], path })
    };
    let maintenance = table.maintenance.iter();
    let maintenance = maintenance.filter_map(|rule| file(rule.place, rule.page.as_deref()?));
    let apps = table.spa.iter().filter_map(|rule| file(rule.place, &rule.page));
    maintenance.chain(table.routes.iter().filter_map(of_route)).chain(apps).collect()
}

fn of_route(route: &Route) -> Option<NamedPage> {
    let keeps_path = route.status == 200 && route.to == route.from;
    if !is_page(route.status) || keeps_path || route.to.contains([':', '*']) {
        return None;
    }
    let path = target::resolve(target::page(&route.to, &|_| None).ok()?.text()?)?;
    let candidates = of_target(&path, 200).into_iter().map(|Candidate { page, .. }| page);
    Some(NamedPage { place: route.place, candidates: candidates.collect(), path })
}

#[cfg(test)]
mod tests {
    use super::named_pages;
    use crate::rules::table::Table;
    use crate::rules::testing::{routes, spa};

    #[test]
    fn pages_are_those_that_no_request_changes() {
        let mut table = Table { spa: spa("/app/index.html"), ..Table::default() };
        let lines = ["/a /b 302", "/a/* /b/:splat 200", "/same /same 200"];
        let named = ["/* /gone.html 410", "/left.html /left.html 410!", "/s /store%20x/ 200"];
        table.routes = routes(&[&lines[..], &named].concat()).routes;
        let pages = named_pages(&table);
        let paths: Vec<_> = pages.iter().map(|page| page.path.as_str()).collect();
        assert_eq!(paths, ["gone.html", "left.html", "store x/", "app/index.html"]);
    }
}
