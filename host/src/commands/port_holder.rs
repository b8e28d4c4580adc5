//! Which process listens at a port: what is in the way of a server.

use std::fs;
use std::os::unix::ffi::OsStrExt;

/// The state of a socket of TCP that listens, in /proc/net/tcp (proc(5)).
const LISTENS: &str = "0A";

/// The name and the number of a process that listens at this port, if this user may know.
pub(super) fn find(port: u16) -> Option<String> {
    let port = format!("{port:04X}");
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        fs::read_to_string(table).ok()?.lines().skip(1).find_map(|line| inode(line, &port))
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_it = |id: &u32| {
        let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target.as_os_str().as_bytes() == socket.as_bytes())
    };
    // Of a service manager that holds it, too, the server is the later one.
    let id = numbers.filter(has_it).max()?;
    let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    Some(format!("{} (process {id})", name.trim_end()))
}

/// The inode of a socket that listens at this port, of a line of the table.
fn inode(line: &str, port: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let is_it = fields.nth(1)?.rsplit(':').next()? == port && fields.nth(1)? == LISTENS;
    is_it.then(|| fields.nth(5).map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    #[test]
    fn own_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let found = super::find(port).expect("a process");
        assert!(found.contains(&format!("(process {})", std::process::id())), "{found}");
        drop(listener);
        assert_eq!(super::find(port), None);
    }
}
