//! A policy that reads cookies, as a newcomer would write it: strings and vectors, and the allocator of the
//! standard library. No decision of it is cached where each client has another cookie.

wit_bindgen::generate!({ path: "../../../../wit", world: "guest" });

use exports::innkeeper::policy::policy::{Decision, Guest, Request};

struct Cookies;

impl Guest for Cookies {
    fn interests() -> Vec<String> {
        vec!["cookie".to_owned()]
    }

    fn decide(request: Request) -> Decision {
        let line = String::from_utf8_lossy(&request.line).into_owned();
        let target = line.split(' ').nth(1).unwrap_or("/");
        let path = target.split('?').next().unwrap_or("/");
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let is_banned = request.fields.iter().any(|field| {
            let cookies = String::from_utf8_lossy(&field.value).into_owned();
            cookies.split("; ").any(|cookie| cookie == "banned=yes")
        });
        match names[..] {
            _ if is_banned || line.bytes().any(|byte| byte < b' ') => Decision::NotFound,
            _ if names.iter().any(|name| name.starts_with('.')) => Decision::NotFound,
            [] => Decision::Index(String::new()),
            _ => Decision::File(names.join("/")),
        }
    }
}

export!(Cookies);
