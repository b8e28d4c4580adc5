//! `--open`: shows the site in a browser.
//!
//! The server in its sandbox starts no program. So a shell is started before, which waits for the
//! URL; it ends without one if the server does.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::Context;

/// Opens what it reads with the first of these that is there. A browser may run for hours: one that
/// runs for a second is taken for one that works.
const SCRIPT: &str = r#"
IFS= read -r url || exit 0
for browser in ${BROWSER:+"$BROWSER"} xdg-open wslview open sensible-browser; do
    if command -v "$browser" >/dev/null 2>&1; then
        "$browser" "$url" >/dev/null 2>&1 &
        sleep 1
        kill -0 $! 2>/dev/null && exit 0
        wait $! && exit 0
        exit 4
    fi
done
exit 3
"#;

/// A shell that waits for a URL.
pub(super) struct Browser(Child);

impl Browser {
    /// Starts it: to be called before the sandbox.
    pub(super) fn prepare() -> anyhow::Result<Browser> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null());
        shell.spawn().map(Browser).context("cannot start /bin/sh (--open)")
    }

    /// Has it open the URL, on a thread of its own.
    pub(super) fn open(mut self, url: String) {
        let open = move || {
            if let Err(error) = self.send(&url) {
                tracing::warn!(url, %error, "cannot open a browser");
            }
        };
        if let Err(error) = thread::Builder::new().name("browser".to_owned()).spawn(open) {
            tracing::warn!(%error, "cannot open a browser");
        }
    }

    fn send(&mut self, url: &str) -> io::Result<()> {
        if let Some(mut input) = self.0.stdin.take() {
            writeln!(input, "{url}")?;
        }
        match self.0.wait()?.code() {
            Some(0) => Ok(()),
            Some(4) => Err(io::Error::other("$BROWSER or xdg-open failed")),
            Some(3) => Err(io::Error::other("there is neither xdg-open nor $BROWSER")),
            _ => Err(io::Error::other("the shell failed")),
        }
    }
}
